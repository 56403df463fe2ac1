"""Segments of a store: what is live, where a chunk lies, and merging without losing a pack."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from blake3 import blake3

from ckstore.format.names import PACK
from ckstore.format.records import Condemned, ObjectRef, Root
from ckstore.format.segment import SegmentRow
from ckstore.store.repository import Repository
from ckstore.store.segments import MERGE_FACTOR
from tests.unit.store.opened import add_pack, new_repository, step, write_pack


@pytest.fixture
def repo(store_path: str) -> Iterator[Repository]:
    opened = new_repository(store_path)
    yield opened
    opened.close()


def put_segment(repo: Repository, rows: list[SegmentRow], level: int = 0) -> ObjectRef:
    with repo.writer() as writer:
        return writer.put_segment(sorted(rows, key=lambda row: row.chunk_id), level)


def find(repo: Repository, root: Root, data: bytes) -> list[SegmentRow]:
    return list(repo.segments.find(root, blake3(data).digest()))


def test_every_chunk_is_found_where_it_lies(repo: Repository) -> None:
    chunks = [str(i).encode() * 9 for i in range(30)]
    for start in (0, 10, 20):
        add_pack(repo, *chunks[start : start + 10])
    root = repo.root()
    for chunk in chunks:
        (row,) = find(repo, root, chunk)
        assert repo.packs.frame(row.pack.name, row.offset, row.frame_bytes).payload == chunk
    assert find(repo, root, b"absent") == []
    assert find(Repository(repo.fs), root, chunks[0])


def test_a_chunk_saved_twice_is_found_in_the_newer_segment_first(repo: Repository) -> None:
    first, second = add_pack(repo, b"same"), add_pack(repo, b"same")
    assert [row.pack for row in find(repo, repo.root(), b"same")] == [second[0].pack, first[0].pack]


def test_a_chunk_is_found_only_under_a_root_that_lists_its_segment(repo: Repository) -> None:
    before = repo.root()
    add_pack(repo, b"new")
    assert find(repo, before, b"new") == []
    assert find(repo, repo.root(), b"new")


def test_live_packs_are_those_listed_and_not_condemned(repo: Repository) -> None:
    names = [add_pack(repo, bytes([i]))[0].pack.name for i in range(4)]
    assert repo.segments.live_packs(repo.root()) == set(names)
    condemned = [Condemned(PACK, names[0], 2), Condemned(5, names[3], 2)]
    root = msgspec.structs.replace(repo.root(), condemned=condemned, deleting=[Condemned(PACK, names[1], 2)])
    assert repo.segments.live_packs(root) == set(names[2:])


def test_a_merge_keeps_all_rows_sorted_and_every_pack_named(repo: Repository) -> None:
    packs = [add_pack(repo, *(bytes([i, j]) for j in range(5)), b"in all of them") for i in range(3)]
    merged = list(repo.segments.merged(repo.root().segments))
    assert [row.chunk_id for row in merged] == sorted(row.chunk_id for row in merged)
    assert {row.pack.name for row in merged} == {rows[0].pack.name for rows in packs}
    assert set(merged) == {row for rows in packs for row in rows}


def test_a_pack_whose_every_chunk_another_pack_has_stays_live_through_a_merge(repo: Repository) -> None:
    """Two writers saved the same thing at once; a merge that names one of their packs makes the other look dead."""
    twins = [add_pack(repo, b"same") for _ in range(2)]
    for i in range(MERGE_FACTOR):
        add_pack(repo, bytes([i]))
    with repo.writer() as writer:
        merged = writer.merge_segments(repo.root().segments)
        writer.commit(lambda base: msgspec.structs.replace(base, segments=merged), {})
    assert len(repo.root().segments) < MERGE_FACTOR
    assert {rows[0].pack.name for rows in twins} <= repo.segments.live_packs(repo.root())


def test_a_row_listed_again_by_a_rescue_is_merged_into_one(repo: Repository) -> None:
    (row,) = add_pack(repo, b"rescued")
    again = put_segment(repo, [row])
    assert list(repo.segments.merged([*repo.root().segments, again])) == [row]


def test_a_merge_without_dead_packs_names_none_of_them(repo: Repository) -> None:
    dead, live = add_pack(repo, b"dead", b"both")[0].pack.name, add_pack(repo, b"live", b"both")[0].pack.name
    rows = list(repo.segments.merged(repo.root().segments, without=frozenset([dead])))
    assert {row.pack.name for row in rows} == {live}
    assert {row.chunk_id for row in rows} == {blake3(data).digest() for data in (b"live", b"both")}


def test_a_level_is_merged_when_it_is_full_and_the_next_one_in_turn(repo: Repository) -> None:
    refs: list[ObjectRef] = []
    with repo.writer() as writer:
        rows = write_pack(writer, [bytes([i // 256, i % 256]) for i in range(MERGE_FACTOR**2)])
        for n, row in enumerate(rows, start=1):
            refs = writer.merge_segments([*refs, writer.put_segment([row])])
            assert len(refs) == sum(divmod(n, MERGE_FACTOR)) if n < MERGE_FACTOR**2 else 1
    (ref,) = refs
    assert repo.objects.segment(ref).level == 2
    assert list(repo.segments.rows(ref)) == rows


def test_a_merge_that_has_to_be_done_again_is_not_written_again(repo: Repository) -> None:
    with repo.writer() as writer:
        rows = write_pack(writer, [bytes([i]) for i in range(MERGE_FACTOR)])
        refs = [writer.put_segment([row]) for row in rows]
        assert writer.merge_segments(refs) == writer.merge_segments(refs)
    assert len(repo.fs.names("segment")) == MERGE_FACTOR + 1


def test_rows_over_many_pages_are_all_found(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    from ckstore.format import segment

    monkeypatch.setattr(segment, "ROWS_PER_PAGE", 7)
    chunks = [bytes([i]) * 3 for i in range(100)]
    add_pack(repo, *chunks)
    (ref,) = repo.root().segments
    assert len(repo.objects.segment(ref).pages) == 15
    assert all(len(find(repo, repo.root(), chunk)) == 1 for chunk in chunks)


@pytest.mark.parametrize("n_before", range(4))
@pytest.mark.parametrize("n_same", range(1, 9))
def test_a_chunk_whose_rows_go_on_over_pages_is_found_in_all_its_packs(
    repo: Repository, monkeypatch: pytest.MonkeyPatch, n_before: int, n_same: int
) -> None:
    from ckstore.format import segment

    monkeypatch.setattr(segment, "ROWS_PER_PAGE", 3)
    same = blake3(b"same").digest()
    packs = [ObjectRef(f"1-00000000000000aa-{i}", bytes([i]) * 32, 1 << 20) for i in range(n_same)]
    before = [SegmentRow(bytes(31) + bytes([i]), packs[0], 56, 100, 9) for i in range(n_before)]
    twins = [SegmentRow(same, pack, 56, 100, 9) for pack in packs]
    after = [SegmentRow(b"\xff" * 32, packs[0], 56, 100, 9)]
    root = step(repo, segments=[put_segment(repo, [*before, *twins, *after])])
    assert find(repo, root, b"same") == twins


def test_a_segment_that_cannot_be_read_names_no_pack_and_is_due_for_no_merge(repo: Repository) -> None:
    first, second = add_pack(repo, b"first"), add_pack(repo, b"second")
    repo.fs.remove(f"segment/{repo.root().segments[0].name}")
    again = Repository(repo.fs)
    assert again.segments.live_packs(again.root()) == {second[0].pack.name} != {first[0].pack.name}
    assert again.segments.due(repo.root().segments * MERGE_FACTOR)[1] == [repo.root().segments[1]] * MERGE_FACTOR


def test_a_segment_that_cannot_be_read_hides_its_own_chunks_only(repo: Repository) -> None:
    (first,), (second,) = add_pack(repo, b"first"), add_pack(repo, b"second")
    repo.fs.remove(f"segment/{repo.root().segments[1].name}")
    again = Repository(repo.fs)
    assert find(again, again.root(), b"first") == [first]
    assert find(again, again.root(), b"second") == [] != [second]


def test_an_empty_store_has_nothing(repo: Repository) -> None:
    assert repo.segments.live_packs(repo.root()) == set()
    assert find(repo, step(repo), b"x") == []
