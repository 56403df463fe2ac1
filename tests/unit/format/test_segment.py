"""Segments: sorted rows in pages, found by their fences."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from ckstore.errors import FormatError
from ckstore.format import columns, segment
from ckstore.format.frame import MAX_FRAME_BYTES
from ckstore.format.records import ObjectRef, PageRef
from ckstore.format.segment import ROWS_PER_PAGE, FilterBuilder, Segment, SegmentPage, SegmentRow, may_hold

WHAT = "segment 7-0123456789abcdef-5"
PACKS = [ObjectRef(f"7-0123456789abcdef-{i}", bytes([i]) * 32, 1 << 40) for i in range(3)]


def rows_of(numbers: list[int]) -> list[SegmentRow]:
    return [SegmentRow(n.to_bytes(32, "big"), PACKS[n % 3], 56 + n, 100, 4096) for n in sorted(numbers)]


def head_of(rows: list[SegmentRow]) -> tuple[Segment, list[SegmentPage]]:
    packs, found = segment.of_rows(rows)
    pages = list(segment.pages(segment.ordered(found)))
    fences = b"".join(page.chunk_ids[:32] for page in pages)
    return Segment(
        packs, 0, len(rows), fences, [PageRef("", 56 + i, 1, 1, bytes(32), 1) for i in range(len(pages))]
    ), pages


@given(st.lists(st.integers(0, 1 << 30), max_size=50, unique=True))
def test_rows_come_back_as_they_were(numbers: list[int]) -> None:
    rows = rows_of(numbers)
    head, pages = head_of(rows)
    assert [row for page in pages for row in segment.from_page(head, page, WHAT)] == rows


def test_every_chunk_is_on_the_page_that_its_fence_says() -> None:
    rows = rows_of(list(range(10, 3 * ROWS_PER_PAGE)))
    head, pages = head_of(rows)
    assert len(pages) == 3
    for i in range(0, len(rows), 97):
        numbers = segment.pages_of(head, rows[i].chunk_id)
        assert i // ROWS_PER_PAGE in numbers
        assert len(numbers) == 1 + (i % ROWS_PER_PAGE == 0 < i)  # its first row may stand on the page before
        assert rows[i] in segment.from_page(head, pages[numbers[-1]], WHAT)


def test_a_chunk_before_the_first_fence_is_on_no_page() -> None:
    head, _ = head_of(rows_of([10, 11]))
    assert list(segment.pages_of(head, (9).to_bytes(32, "big"))) == []
    assert list(segment.pages_of(head, (12).to_bytes(32, "big"))) == [0]
    assert list(segment.pages_of(head_of([])[0], bytes(32))) == []


@pytest.mark.parametrize(
    "lie", [{"fences": b"x" * 33}, {"fences": b""}, {"gone": [2]}, {"pack_rows": [1, 2, 3]}], ids=str
)
def test_lists_that_do_not_fit_together_are_refused(lie: dict[str, Any]) -> None:
    head, _ = head_of(rows_of([10, 11]))
    raw = msgspec.to_builtins(head)
    for name, value in lie.items():
        raw[Segment.__struct_fields__.index(name)] = value
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(raw), type=Segment)


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=300))
def test_a_filter_denies_no_chunk_that_is_there_and_most_others(ids: list[bytes]) -> None:
    builder = FilterBuilder(len(ids))
    builder.add(np.frombuffer(b"".join(ids), np.uint8).reshape(-1, 32))
    bits = builder.record().bits
    assert all(may_hold(bits, chunk_id) for chunk_id in ids)
    others = [blake3(bytes([i % 256, i // 256])).digest() for i in range(1000)]
    assert sum(may_hold(bits, chunk_id) for chunk_id in others) < 100


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), max_size=40))
def test_rows_are_ordered_by_all_of_their_id_and_equal_ones_are_once(numbers: list[tuple[int, int, int]]) -> None:
    """Ids that begin with the same bytes, as no hash would give them in a lifetime."""
    rows = [SegmentRow(bytes([a]) * 8 + bytes([b]) * 24, PACKS[p], 56, 100, 4096) for a, b, p in numbers]
    packs, found = segment.of_rows(rows)
    head = Segment(packs, 0, 0, b"", [])
    got = [row for page in segment.pages(segment.ordered(found)) for row in segment.from_page(head, page, WHAT)]
    assert [row.chunk_id for row in got] == sorted(row.chunk_id for row in got)
    assert len(got) == len(set(got))
    assert set(got) == set(rows)


def test_rows_in_packs_that_are_gone_count_no_more() -> None:
    head, (page,) = head_of(rows_of([0, 1, 2, 3]))
    left = list(segment.from_page(msgspec.structs.replace(head, gone=[0]), page, WHAT))
    assert [row.pack.name for row in left] == [PACKS[1].name, PACKS[2].name]
    assert msgspec.structs.replace(head, pack_rows=[2, 1, 1], gone=[0, 2]).n_gone == 3


HEAD, (PAGE,) = head_of(rows_of([1, 2, 3]))
LIES = {
    "ids cut": {"chunk_ids": PAGE.chunk_ids[:-1]},
    "packs cut": {"pack_of": PAGE.pack_of[:-1]},
    "no such pack": {"pack_of": columns.pack([0, 1, 3], "<u4")},
    "offsets cut": {"offsets": PAGE.offsets[:-1]},
    "offset wraps": {"offsets": columns.pack([57, 58, 2**64 - 1], "<u8")},
    "frame sizes cut": {"frame_bytes": PAGE.frame_bytes[:-1]},
    "huge frame": {"frame_bytes": columns.pack([100, 100, MAX_FRAME_BYTES + 1], "<u4")},
    "chunk sizes cut": {"logical_bytes": PAGE.logical_bytes[:-1]},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_page_that_lies_is_refused(lie: str) -> None:
    with pytest.raises(FormatError, match=WHAT) as caught:
        list(segment.from_page(HEAD, msgspec.structs.replace(PAGE, **LIES[lie]), WHAT))
    assert caught.value.object == WHAT
