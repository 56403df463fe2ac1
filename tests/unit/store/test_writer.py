"""A writer: names of its own, a commit that is refused when a gc was faster, and rescue of what it needs."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from ckstore.errors import UsageError, WriterExpired
from ckstore.format.names import CLOSURE, MANIFEST, PACK, SEGMENT, epoch_of, root_path, writer_of
from ckstore.format.records import Condemned, Root
from ckstore.store.objects import held_by
from ckstore.store.repository import Repository
from ckstore.store.segments import MERGE_FACTOR
from ckstore.store.writer import ATTEMPTS, until_not_expired
from tests.unit.store.opened import add_pack, marked, other, repo, step, write_pack

__all__ = ["repo"]

NAME = "1-0123456789abcdef-1"


def condemn(repo: Repository, kind: int, name: str) -> Callable[[Root], Root]:
    """Root step A for one object: condemned, and no longer in a segment."""

    def change(base: Root) -> Root:
        item = Condemned(kind, name, base.number + 1)
        segments = [ref for ref in base.segments if name not in {p.name for p in repo.objects.segment(ref).packs}]
        return msgspec.structs.replace(base, condemned=[*base.condemned, item], segments=segments)

    return change


def test_names_of_a_writer_are_its_own_and_never_come_back(repo: Repository) -> None:
    with repo.writer() as first, repo.writer() as second:
        names = [writer.new_name() for writer in (first, second) for _ in range(5)]
        assert len(set(names)) == 10
        assert {writer_of(name) for name in names} == {first.name, second.name}
        assert epoch_of(first.name) == 1
        assert sorted(repo.fs.names("lease")) == sorted([first.name, second.name])
    assert repo.fs.names("lease") == []


def test_the_lease_is_there_before_the_root_is_read(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    newest = repo.roots.newest

    def watched() -> Root:
        seen.append(repo.fs.names("lease"))
        return newest()

    monkeypatch.setattr(repo.roots, "newest", watched)
    with repo.writer() as writer:
        assert seen[0] == [writer.name]


def test_a_writer_below_the_floor_publishes_nothing(repo: Repository) -> None:
    with repo.writer() as writer:
        step(other(repo))
        step(other(repo), floor=2)
        with pytest.raises(WriterExpired, match="save again"):
            writer.commit(marked, {})
    assert repo.root().compatible == []
    with repo.writer() as writer:
        assert writer.commit(marked, {}).compatible == ["mine"]


def test_the_floor_is_looked_at_again_for_every_root_that_is_tried(repo: Repository) -> None:
    """Another writer takes the number first, and with it raises the floor."""
    with repo.writer() as writer:
        tries: list[int] = []

        def change(base: Root) -> Root:
            tries.append(base.number)
            if len(tries) == 1:
                step(other(repo))
                step(other(repo), floor=2)
            return marked(base)

        with pytest.raises(WriterExpired):
            writer.commit(change, {})
    assert tries == [1]
    assert repo.root().compatible == []


def test_a_condemned_pack_that_is_needed_is_rescued_with_its_rows(repo: Repository) -> None:
    rows = add_pack(repo, b"a", b"b", b"c")
    pack = rows[0].pack.name
    with repo.writer() as writer:
        with other(repo).writer() as gc:
            gc.commit(condemn(repo, PACK, pack), {})
        assert pack not in repo.segments.live_packs(repo.root())
        root = writer.commit(marked, {(PACK, pack): rows[:2]})
    assert root.condemned == []
    assert pack in repo.segments.live_packs(root)
    assert [row for ref in root.segments for row in repo.segments.rows(ref)] == rows[:2]


@pytest.mark.parametrize("kind", [MANIFEST, CLOSURE])
def test_a_condemned_object_that_is_needed_is_rescued(repo: Repository, kind: int) -> None:
    with repo.writer() as writer:
        step(other(repo), condemned=[Condemned(kind, NAME, 2), Condemned(kind, NAME[:-1] + "2", 2)])
        root = writer.commit(marked, {(kind, NAME): []})
    assert [item.name for item in root.condemned] == [NAME[:-1] + "2"]


def test_what_a_writer_has_just_written_is_rescued_though_its_lease_was_thought_dead(repo: Repository) -> None:
    with repo.writer() as writer:
        rows = write_pack(writer, [b"mine"])
        ref = writer.put_segment(rows)
        gone = [Condemned(PACK, rows[0].pack.name, 2), Condemned(5, ref.name, 2), Condemned(PACK, NAME, 2)]
        step(other(repo), condemned=gone)
        root = writer.commit(lambda base: msgspec.structs.replace(base, segments=[*base.segments, ref]), {})
    assert root.condemned == gone[2:]
    assert rows[0].pack.name in repo.segments.live_packs(root)


@pytest.mark.parametrize("kind", [PACK, MANIFEST, CLOSURE])
def test_an_object_being_deleted_is_never_relied_on(repo: Repository, kind: int) -> None:
    rows = add_pack(repo, b"a")
    name = rows[0].pack.name if kind == PACK else NAME
    with repo.writer() as writer:
        step(other(repo), deleting=[Condemned(kind, name, 2)])  # a gc that forgot to raise the floor
        with pytest.raises(WriterExpired, match="being deleted"):
            writer.commit(marked, {(kind, name): rows})
    assert repo.root().compatible == []


def test_a_pack_that_no_segment_names_is_never_relied_on(repo: Repository) -> None:
    with repo.writer() as writer, pytest.raises(WriterExpired):
        writer.commit(marked, {(PACK, NAME): []})


def test_a_commit_syncs_every_directory_it_wrote_to_before_its_root(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync_dir, publish = repo.fs.sync_dir, repo.fs.publish

    def synced(directory: str) -> None:
        done.append(directory)
        sync_dir(directory)

    def published(temporary: str, path: str, data: bytes) -> None:
        done.append("PUBLISH")
        publish(temporary, path, data)

    monkeypatch.setattr(repo.fs, "sync_dir", synced)
    monkeypatch.setattr(repo.fs, "publish", published)
    add_pack(repo, b"x")
    assert set(done[: done.index("PUBLISH")]) >= {"pack", "segment"}
    assert done[done.index("PUBLISH") :] == ["PUBLISH", "root"]


def test_a_read_only_repository_has_no_writer(repo: Repository) -> None:
    with pytest.raises(UsageError, match="readonly"):
        Repository(repo.fs, readonly=True).writer()


def test_who_is_given_up_again_and_again_is_told_so_in_the_end() -> None:
    tries: list[int] = []

    def attempt() -> None:
        tries.append(1)
        raise WriterExpired(f"attempt {len(tries)}")

    with pytest.raises(WriterExpired, match=f"attempt {ATTEMPTS}"):
        until_not_expired(attempt)
    assert len(tries) == ATTEMPTS


def test_segments_of_which_no_row_counts_any_more_are_merged_into_none(repo: Repository) -> None:
    for n in range(MERGE_FACTOR):
        add_pack(repo, bytes([n]))
    with repo.writer() as writer:
        empty = []
        for ref in writer.root.segments:
            head = repo.objects.segment(ref)
            pages = list(held_by(ref.name, head.pages).values())
            empty.append(writer.put(SEGMENT, msgspec.structs.replace(head, gone=[0], pages=pages)))
        assert writer.merge_segments(empty) == []


def test_a_root_number_that_is_taken_and_trimmed_away_again_is_not_ones_own(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer finds root 2 taken; when it looks whether that is its own, after all, the file is gone."""
    second, publish = other(repo), repo.fs.publish

    def late(temporary: str, path: str, data: bytes) -> None:
        if not repo.fs.exists(root_path(3)):
            step(second)
        try:
            publish(temporary, path, data)
        except FileExistsError:
            step(second, trimmed_to=2)
            repo.fs.remove(path)
            raise

    made: list[Root | None] = []
    publish_root = repo.roots.publish
    monkeypatch.setattr(repo.fs, "publish", late)
    monkeypatch.setattr(repo.roots, "publish", lambda *given: (made.append(publish_root(*given)), made[-1])[1])
    with repo.writer() as writer:
        root = writer.commit(marked, {})
    assert made == [None, root]
    assert (root.number, other(repo).root().compatible) == (4, ["mine"])
