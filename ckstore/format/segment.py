"""Segment rows ⇄ pages: where chunks lie, sorted by id. Serves deduplication and repair, never a restore."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ckstore.errors import FormatError
from ckstore.format import columns
from ckstore.format.frame import MAX_FRAME_BYTES
from ckstore.format.records import ObjectRef, Segment, SegmentPage

ROWS_PER_PAGE = 4096


class SegmentRow(NamedTuple):
    """Where the frame of one chunk lies."""

    chunk_id: bytes
    pack: ObjectRef
    offset: int
    frame_bytes: int
    logical_bytes: int


def to_pages(rows: Sequence[SegmentRow]) -> tuple[list[ObjectRef], list[SegmentPage]]:
    """(packs for the head, pages). REQUIRES: rows sorted by chunk id."""
    packs = {row.pack.name: row.pack for row in rows}
    position = {name: i for i, name in enumerate(packs)}
    chunks = [rows[i : i + ROWS_PER_PAGE] for i in range(0, len(rows), ROWS_PER_PAGE)]
    return list(packs.values()), [_to_page(chunk, position) for chunk in chunks]


def _to_page(rows: Sequence[SegmentRow], position: dict[str, int]) -> SegmentPage:
    return SegmentPage(
        chunk_ids=b"".join(row.chunk_id for row in rows),
        pack_of=columns.pack((position[row.pack.name] for row in rows), "<u4"),
        offsets=columns.pack((row.offset for row in rows), "<u8"),
        frame_bytes=columns.pack((row.frame_bytes for row in rows), "<u4"),
        logical_bytes=columns.pack((row.logical_bytes for row in rows), "<u4"),
    )


def pages_of(head: Segment, chunk_id: bytes) -> range:
    """Numbers of the pages that may hold `chunk_id`: equal ids may go on over several."""
    fences = [head.fences[i : i + 32] for i in range(0, len(head.fences), 32)][: len(head.pages)]
    # they may begin on the page before the first fence that equals them
    return range(max(0, bisect_left(fences, chunk_id) - 1), bisect_right(fences, chunk_id))


def from_page(head: Segment, page: SegmentPage, what: str) -> Iterable[SegmentRow]:
    """The rows of one page, validated."""
    n, rest = divmod(len(page.chunk_ids), 32)
    pack_of = columns.unpack(page.pack_of, "<u4", n, what)
    offsets = columns.unpack(page.offsets, "<u8", n, what)
    frame_bytes = columns.unpack(page.frame_bytes, "<u4", n, what)
    logical_bytes = columns.unpack(page.logical_bytes, "<u4", n, what)
    if rest or max(pack_of, default=-1) >= len(head.packs):
        raise FormatError(f"{what}: columns do not fit together", object=what)
    for i in range(n):
        chunk_id, pack = page.chunk_ids[32 * i : 32 * i + 32], head.packs[pack_of[i]]
        if frame_bytes[i] > MAX_FRAME_BYTES or offsets[i] + frame_bytes[i] > pack.n_bytes:
            raise FormatError(f"{what}: a frame at {offsets[i]} lies beyond the end of pack {pack.name}", object=what)
        yield SegmentRow(chunk_id, pack, offsets[i], frame_bytes[i], logical_bytes[i])
