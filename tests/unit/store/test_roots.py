"""Roots: the newest one or an error, never another in its place; what this build does not know stops it."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import msgspec
import pytest

import ckstore
from ckstore.engine import catalog
from ckstore.errors import CkError, CorruptError, FormatError, StoreNotFound, UnsupportedError
from ckstore.format import envelope
from ckstore.format.names import ROOT, root_key, root_path
from ckstore.format.records import Root
from ckstore.store import roots as roots_module
from ckstore.store.fs import LocalFs
from ckstore.store.repository import Repository
from ckstore.store.roots import Roots
from tests.unit.store.opened import new_repository, plant_root, repo, root_file, step

__all__ = ["repo"]


def fresh(repo: Repository) -> Roots:
    """The roots as somebody sees them who has read nothing yet."""
    return Roots(LocalFs(repo.fs.root))


def test_roots_are_numbered_one_after_the_other_and_chained_by_digest(repo: Repository) -> None:
    for n in range(2, 6):
        assert step(repo, compatible=[str(n)]).number == n
    for n in range(2, 6):
        assert fresh(repo).read(n)[0].previous == fresh(repo).read(n - 1)[1]
    assert fresh(repo).newest().compatible == ["5"]


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "zeroed", "longer", "another root"])
def test_a_damaged_newest_root_is_an_error_and_never_an_older_root(repo: Repository, damage: str) -> None:
    step(repo)
    path = Path(root_file(repo, 2))
    data, first = path.read_bytes(), Path(root_file(repo, 1)).read_bytes()
    flipped = data[:70] + bytes([data[70] ^ 4]) + data[71:]
    path.write_bytes(
        {"empty": b"", "cut": data[:-1], "flipped": flipped, "zeroed": bytes(len(data)), "longer": data + b"\0",
         "another root": first}[damage]
    )  # fmt: skip
    with pytest.raises(CorruptError, match="root 2") as caught:
        fresh(repo).newest()
    assert caught.value.object == "root 2"
    with pytest.raises(CorruptError, match="root 2"):
        ckstore.open(repo.fs.root)


def test_a_root_under_another_number_is_refused(repo: Repository) -> None:
    os.link(root_file(repo, 1), root_file(repo, 7))
    with pytest.raises(FormatError, match="this file holds root 1"):
        fresh(repo).newest()


def test_a_root_with_anything_before_its_head_is_refused(repo: Repository) -> None:
    root = msgspec.structs.replace(repo.root(), number=2)
    data, _ = envelope.encode(ROOT, repo.uuid, root, [b"hidden"], compress=False)
    Path(root_file(repo, 2)).write_bytes(data)
    with pytest.raises(FormatError, match="root 2"):
        fresh(repo).newest()


def test_a_root_of_another_store_is_refused(repo: Repository, tmp_path: Path) -> None:
    other = new_repository(str(tmp_path / "other"))
    step(other)
    os.link(root_file(other, 2), root_file(repo, 2))
    with pytest.raises(FormatError, match="another store"):
        repo.root()


def test_a_root_that_cannot_be_reached_by_a_writer_is_no_root(repo: Repository) -> None:
    for name in ("junk", "0" * 20, root_key(1) + ".bak", ".tmp"):
        Path(repo.fs.locate("root"), name).write_bytes(b"")
    assert fresh(repo).newest().number == 1
    assert step(repo).number == 2


@pytest.mark.parametrize("made", [False, True])
def test_a_directory_without_a_root_is_no_store(tmp_path: Path, made: bool) -> None:
    if made:
        (tmp_path / "root").mkdir()
    with pytest.raises(StoreNotFound, match="ckstore init"):
        Roots(LocalFs(str(tmp_path))).newest()


def test_an_unknown_incompatible_flag_stops_everyone_at_once(repo: Repository) -> None:
    store = ckstore.open(repo.fs.root)
    plant_root(repo, incompatible=["encryption"])
    for use in (lambda: ckstore.open(repo.fs.root), store.checkpoints, lambda: store.save({"a": 1}), store.gc):
        with pytest.raises(UnsupportedError, match="encryption"):
            use()


@pytest.mark.parametrize("major", [0, 2])
def test_another_major_version_stops_everyone(repo: Repository, major: int) -> None:
    plant_root(repo, major=major)
    with pytest.raises(UnsupportedError, match=f"format {major}"):
        ckstore.open(repo.fs.root)


def test_an_unknown_read_only_flag_stops_writers_and_no_reader(store_path: str) -> None:
    with ckstore.open(store_path, create=True) as store:
        store.save({"a": 1}, tags=["good"])
        repo = store._session.repo
        number = plant_root(repo, readonly_compatible=["parity"]).number
        assert store.load() == {"a": 1}
        assert store.verify().ok
        for use in (
            lambda: store.save({"a": 2}),
            lambda: store.tag("good", "better"),
            lambda: store.untag("good"),
            lambda: store.delete("good"),
            lambda: store.gc(grace_s=0),
        ):
            with pytest.raises(UnsupportedError, match="parity"):
                use()
        assert repo.root().number == number
    assert os.listdir(f"{store_path}/lease") == []


def test_what_is_not_known_but_compatible_is_carried_on(store_path: str) -> None:
    with ckstore.open(store_path, create=True) as store:
        repo = store._session.repo
        extra = envelope.encode_map({"hints": [1, {"a": b"b"}]})
        plant_root(repo, compatible=["hints"], extra=extra)
        store.save({"a": 1}, tags=["good"])
        store.delete(store.untag("good"))
        store.gc(grace_s=0)
        assert (repo.root().compatible, repo.root().extra) == (["hints"], extra)


def test_the_newest_root_is_found_by_name_where_the_listing_is_late(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    step(repo)
    step(repo)
    monkeypatch.setattr(repo.fs, "names", lambda directory: [root_key(1)])
    assert repo.root().number == 3


def test_two_writers_of_one_number_both_commit_in_turn(repo: Repository) -> None:
    second = Repository(LocalFs(repo.fs.root))
    seen: list[int] = []

    def change(base: Root, digest: bytes) -> Root:
        seen.append(base.number)
        if len(seen) == 1:
            step(second, compatible=["second"])
        return msgspec.structs.replace(base, number=base.number + 1, previous=digest, floor=1)

    root = repo.roots.extend(change, lambda: f"tmp/1-0000000000000000-{len(seen)}", lambda _: False)
    assert seen == [1, 2]
    assert (root.number, root.compatible, root.floor) == (3, ["second"], 1)
    assert repo.fs.names("tmp") == []


def test_a_change_that_changes_nothing_makes_no_root(repo: Repository) -> None:
    assert repo.roots.extend(lambda base, _: base, lambda: "tmp/x", lambda _: False).number == 1
    assert repo.fs.names("root") == [root_key(1)]


def trimmed(repo: Repository, upto: int) -> None:
    """Publish `trimmed_to` and remove those roots, as a gc does."""
    step(repo, trimmed_to=upto)
    for number in range(1, upto + 1):
        repo.fs.remove(root_path(number))


def test_a_number_that_was_trimmed_away_is_lost_and_the_commit_made_again(repo: Repository) -> None:
    """A writer stops with root 2 in hand; meanwhile 2 is taken, trimmed and free again."""
    second = Repository(LocalFs(repo.fs.root))
    seen: list[int] = []

    def change(base: Root, digest: bytes) -> Root:
        seen.append(base.number)
        if len(seen) == 1:
            for _ in range(4):
                step(second)
            trimmed(second, 4)
        return msgspec.structs.replace(
            base, number=base.number + 1, previous=digest, write_id=b"w" * 16, compatible=["mine"]
        )

    root = repo.roots.extend(change, lambda: f"tmp/1-0000000000000000-{len(seen)}", lambda _: False)
    assert seen == [1, 6]
    assert root.number == 7
    assert fresh(repo).newest().compatible == ["mine"]


def test_a_root_trimmed_between_listing_and_reading_is_looked_for_again(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader stops between the two; when it goes on, the root that was the newest is gone."""
    second, names = Repository(LocalFs(repo.fs.root)), repo.fs.names

    def late(directory: str) -> list[str]:
        found = names(directory)
        monkeypatch.setattr(repo.fs, "names", names)
        monkeypatch.setattr(repo.fs, "exists", lambda path: False)
        step(second)
        step(second)
        trimmed(second, 3)
        return found

    monkeypatch.setattr(repo.fs, "names", late)
    repo.roots._cached = None
    assert repo.root().number == 4


def test_a_huge_file_for_a_root_is_refused_before_it_is_read(repo: Repository) -> None:
    with open(root_file(repo, 2), "wb") as file:
        file.truncate(1 << 30)
    tracemalloc.start()
    with pytest.raises(CorruptError, match="root 2"):
        fresh(repo).newest()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 << 20


def test_the_root_stays_small_with_many_checkpoints(store_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ckstore.open(store_path, create=True) as store:
        for n in range(catalog.INLINE_ENTRIES + 5):
            store.save({"a": n}, meta={"text": "x" * 2000})
        repo = store._session.repo
        assert roots_module.root_bytes(repo.root()) < 64 << 10
        assert repo.root().catalog
        assert [ck.step for ck in store.checkpoints()] == list(range(catalog.INLINE_ENTRIES + 5))


def test_errors_of_flags_are_errors_of_ckstore() -> None:
    assert issubclass(UnsupportedError, CkError)
    assert not issubclass(UnsupportedError, CorruptError)
