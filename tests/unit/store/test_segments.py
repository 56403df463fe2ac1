"""Segments of a store: what is live, where a chunk lies, and merging without losing a pack."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from blake3 import blake3

from ckstore.errors import IntegrityError
from ckstore.format import segment
from ckstore.format.names import PACK, SEGMENT
from ckstore.format.records import Condemned, ObjectRef, Root
from ckstore.format.segment import Segment, SegmentFilter, SegmentRow
from ckstore.store import merging, segments
from ckstore.store.merging import Merge
from ckstore.store.repository import Repository
from ckstore.store.segments import MERGE_FACTOR
from tests.unit.store.opened import add_pack, repo, step, write_pack

__all__ = ["repo"]


def put_segment(repo: Repository, rows: list[SegmentRow], level: int = 0) -> ObjectRef:
    with repo.writer() as writer:
        return writer.put_segment(sorted(rows, key=lambda row: row.chunk_id), level)


def merged_rows(repo: Repository, refs: Sequence[ObjectRef], without: frozenset[str] = frozenset()) -> list[SegmentRow]:
    merge = Merge(repo.objects, refs, without)
    head = Segment(merge.packs, 0, 0, b"", [])
    return [row for page in merge.pages() for row in segment.from_page(head, page, "merged")]


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
    merged = merged_rows(repo, repo.root().segments)
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
    assert merged_rows(repo, [*repo.root().segments, again]) == [row]


def test_a_merge_without_dead_packs_names_none_of_them(repo: Repository) -> None:
    dead, live = add_pack(repo, b"dead", b"both")[0].pack.name, add_pack(repo, b"live", b"both")[0].pack.name
    rows = merged_rows(repo, repo.root().segments, frozenset([dead]))
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


@pytest.mark.parametrize("filters", [0, 1 << 20], ids=["no room for filters", "filters"])
def test_rows_over_many_pages_are_all_found(repo: Repository, monkeypatch: pytest.MonkeyPatch, filters: int) -> None:
    monkeypatch.setattr(segment, "ROWS_PER_PAGE", 7)
    monkeypatch.setattr(segments, "_CACHED_FILTER_BYTES", filters)
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


@pytest.mark.parametrize("seed", range(20))
def test_a_merge_by_ranges_is_what_sorting_all_rows_gives(
    repo: Repository, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(segment, "ROWS_PER_PAGE", int(rng.integers(1, 6)))
    monkeypatch.setattr(merging, "_PAGES_AT_ONCE", 1)
    packs = [ObjectRef(f"1-00000000000000aa-{i}", bytes([i]) * 32, 1 << 20) for i in range(4)]
    ids = [blake3(bytes([i])).digest() for i in range(30)]
    listed = [
        [SegmentRow(ids[i], packs[p], 56 + i, 100, 9) for i, p in zip(*rng.integers(0, (30, 4), (n, 2)).T, strict=True)]
        for n in rng.integers(1, 40, 3)
    ]
    refs = [put_segment(repo, rows) for rows in listed]
    without = frozenset(pack.name for pack in packs if rng.random() < 0.3)
    expected = {row for rows in listed for row in rows if row.pack.name not in without}
    got = merged_rows(repo, refs, without)
    assert set(got) == expected
    assert [row.chunk_id for row in got] == sorted(row.chunk_id for row in got)
    assert len(got) == len(expected)


def test_a_filter_spares_the_pages_of_a_segment_that_lacks_a_chunk(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment, "ROWS_PER_PAGE", 50)
    add_pack(repo, *(bytes([i]) * 3 for i in range(200)))
    again = Repository(repo.fs)
    asked: list[int] = []
    page = again.objects.page
    monkeypatch.setattr(
        again.objects, "page", lambda kind, name, ref, of: (asked.append(ref.n_rows), page(kind, name, ref, of))[1]
    )
    assert [find(again, again.root(), bytes([i, i + 1])) for i in range(100)] == [[]] * 100
    assert asked.count(200) == 1
    assert len(asked) < 20
    again.close()


def test_a_filter_that_denies_what_is_there_is_damage(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "ROWS_PER_PAGE", 5)
    monkeypatch.setattr(segment.FilterBuilder, "add", lambda self, ids: None)
    add_pack(repo, *(bytes([i]) * 3 for i in range(20)))
    with pytest.raises(IntegrityError, match="filter"):
        list(repo.segments.columns(repo.root().segments[0]))


def test_large_segments_are_merged_no_further(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MAX_MERGED_ROWS", 4 * MERGE_FACTOR)
    with repo.writer() as writer:
        rows = write_pack(writer, [bytes([i]) * 2 for i in range(5 * MERGE_FACTOR)])
        refs = [writer.put_segment(rows[5 * i : 5 * i + 5]) for i in range(MERGE_FACTOR)]
        assert writer.merge_segments(refs) == refs
        refs = [writer.put_segment(rows[4 * i : 4 * i + 4]) for i in range(MERGE_FACTOR)]
        assert len(writer.merge_segments(refs)) == 1


def test_a_filter_is_what_the_format_says(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "ROWS_PER_PAGE", 50)
    chunks = [bytes([i, i]) for i in range(200)]
    add_pack(repo, *chunks)
    (ref,) = repo.root().segments
    head = repo.objects.segment(ref)
    assert head.filter is not None
    bits = repo.objects.page(SEGMENT, ref.name, head.filter, SegmentFilter).bits
    expected = bytearray(256)  # 8 bits a row or more: 2048 of them for 200 rows
    for chunk in chunks:
        words = struct.unpack("<4I", blake3(chunk).digest()[:16])
        for word in words:
            expected[word % 2048 // 8] |= 1 << word % 8
    assert bits == expected
