"""Segment rows ⇄ pages: where chunks lie, sorted by id. Serves deduplication and repair, never a restore."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import Meta, field

from ckstore.errors import FormatError
from ckstore.format import limits
from ckstore.format.frame import MAX_FRAME_BYTES
from ckstore.format.limits import Size
from ckstore.format.records import ObjectRef, PageRef, Record

ROWS_PER_PAGE = 4096


class Segment(Record, frozen=True):
    """The head of a segment: which packs it covers. Rows, sorted by chunk id, serve deduplication and repair."""

    packs: list[ObjectRef]
    level: Size
    n_rows: Size
    fences: bytes
    """32 bytes a page: the first chunk id in it."""
    pages: list[PageRef]
    pack_rows: list[Size] = field(default_factory=list)
    """Rows in each of `packs`; empty: not known."""
    gone: list[Size] = field(default_factory=list)
    """Positions of packs whose rows count no more: a gc condemned them after the pages were written."""
    filter: PageRef | None = None
    """A SegmentFilter over all pages."""

    def __post_init__(self) -> None:
        limits.check_pages(self.pages)
        limits.check_lists(self.packs, self.pack_rows, self.gone, self.pages, self.fences)

    @property
    def packs_left(self) -> list[ObjectRef]:
        """The packs whose rows count."""
        gone = set(self.gone)  # both lists may be long
        return [pack for i, pack in enumerate(self.packs) if i not in gone]

    @property
    def n_gone(self) -> int:
        """Rows that count no more, as far as that is known."""
        return sum(self.pack_rows[position] for position in self.gone) if self.pack_rows else 0

    @property
    def holders(self) -> set[str]:
        """Names of the older segments in which its pages lie."""
        refs = [*self.pages, *([self.filter] if self.filter else [])]
        return {ref.holder for ref in refs if ref.holder}


class SegmentFilter(Record, frozen=True):
    """A Bloom filter over the chunk ids of a segment: a power of two of bits, lowest bit of each byte first."""

    bits: Annotated[bytes, Meta(min_length=128, max_length=1 << 24)]

    def __post_init__(self) -> None:
        limits.check_power_of_two(len(self.bits))


class SegmentPage(Record, frozen=True):
    """Rows of a segment, sorted by chunk id; equal ids may follow one another (two writers saved the same chunk)."""

    chunk_ids: bytes
    pack_of: bytes
    """u32 a row: position in the head's `packs`."""
    offsets: bytes
    frame_bytes: bytes
    logical_bytes: bytes


class SegmentRow(NamedTuple):
    """Where the frame of one chunk lies."""

    chunk_id: bytes
    pack: ObjectRef
    offset: int
    frame_bytes: int
    logical_bytes: int


class Columns(NamedTuple):
    """The same of n chunks as arrays; `pack_of` counts in a list of packs that goes with them."""

    ids: npt.NDArray[np.uint8]
    """(n, 32)"""
    pack_of: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.uint64]
    frame_bytes: npt.NDArray[np.uint32]
    logical_bytes: npt.NDArray[np.uint32]

    def take(self, which: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> Columns:
        """Some of the rows."""
        return Columns(
            self.ids[which], self.pack_of[which], self.offsets[which], self.frame_bytes[which],
            self.logical_bytes[which],
        )  # fmt: skip


def of_rows(rows: Sequence[SegmentRow]) -> tuple[list[ObjectRef], Columns]:
    """(packs, columns)."""
    packs = {row.pack.name: row.pack for row in rows}
    position = {name: i for i, name in enumerate(packs)}
    ids = np.frombuffer(b"".join(row.chunk_id for row in rows), np.uint8).reshape(-1, 32)
    return list(packs.values()), Columns(
        ids,
        np.fromiter((position[row.pack.name] for row in rows), "<u4"),
        np.fromiter((row.offset for row in rows), "<u8"),
        np.fromiter((row.frame_bytes for row in rows), "<u4"),
        np.fromiter((row.logical_bytes for row in rows), "<u4"),
    )


def joined(parts: Sequence[Columns]) -> Columns:
    """The rows of several, one behind the other; at least one."""
    return Columns(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def ordered(rows: Columns) -> Columns:
    """Rows sorted by chunk id and pack; those that say the same once."""
    words = rows.ids.view(">u8")
    order = np.lexsort((rows.pack_of, words[:, 0]))
    if _descends(words[order]):  # two ids that differ begin with the same 8 bytes
        order = np.lexsort((rows.pack_of, words[:, 3], words[:, 2], words[:, 1], words[:, 0]))
    rows = rows.take(order)
    again = (rows.ids[1:] == rows.ids[:-1]).all(axis=1) & (rows.pack_of[1:] == rows.pack_of[:-1])
    return rows.take(np.concatenate(([True], ~again))) if again.any() else rows


def _descends(words: npt.NDArray[np.uint64]) -> bool:
    same = np.flatnonzero(words[1:, 0] == words[:-1, 0])
    return any(words[i].tobytes() > words[i + 1].tobytes() for i in same)


def to_page(rows: Columns) -> SegmentPage:
    """At most ROWS_PER_PAGE rows as a record."""
    return SegmentPage(
        rows.ids.tobytes(), rows.pack_of.tobytes(), rows.offsets.tobytes(), rows.frame_bytes.tobytes(),
        rows.logical_bytes.tobytes(),
    )  # fmt: skip


def pages(rows: Columns) -> Iterator[SegmentPage]:
    """All rows as records."""
    return (to_page(rows.take(slice(i, i + ROWS_PER_PAGE))) for i in range(0, len(rows.ids), ROWS_PER_PAGE))


def pages_of(head: Segment, chunk_id: bytes) -> range:
    """Numbers of the pages that may hold `chunk_id`: equal ids may go on over several."""
    fences = [head.fences[i : i + 32] for i in range(0, len(head.fences), 32)]
    # they may begin on the page before the first fence that equals them
    return range(max(0, bisect_left(fences, chunk_id) - 1), bisect_right(fences, chunk_id))


def of_page(head: Segment, page: SegmentPage, what: str) -> Columns:
    """The rows of one page, validated, those in packs that are gone among them."""
    n, rest = divmod(len(page.chunk_ids), 32)
    sizes = (len(page.pack_of), len(page.offsets), len(page.frame_bytes), len(page.logical_bytes))
    if rest or sizes != (4 * n, 8 * n, 4 * n, 4 * n):
        raise FormatError(f"{what}: a column has the wrong length", object=what)
    rows = Columns(
        np.frombuffer(page.chunk_ids, np.uint8).reshape(-1, 32),
        np.frombuffer(page.pack_of, "<u4"),
        np.frombuffer(page.offsets, "<u8"),
        np.frombuffer(page.frame_bytes, "<u4"),
        np.frombuffer(page.logical_bytes, "<u4"),
    )
    if n and rows.pack_of.max() >= len(head.packs):
        raise FormatError(f"{what}: columns do not fit together", object=what)
    ends = np.array([pack.n_bytes for pack in head.packs], np.uint64)[rows.pack_of]
    beyond = (rows.frame_bytes > MAX_FRAME_BYTES) | (rows.offsets > ends) | (ends - rows.offsets < rows.frame_bytes)
    if beyond.any():
        i = int(beyond.argmax())
        name = head.packs[int(rows.pack_of[i])].name
        raise FormatError(f"{what}: a frame at {rows.offsets[i]} lies beyond the end of pack {name}", object=what)
    return rows


def from_page(head: Segment, page: SegmentPage, what: str) -> Iterable[SegmentRow]:
    """The rows of one page, validated, without those in packs that are gone."""
    gone = set(head.gone)
    rows = of_page(head, page, what)
    ids, *numbers = rows.ids.tobytes(), *(column.tolist() for column in rows[1:])
    for i, (pack, offset, frame_bytes, logical_bytes) in enumerate(zip(*numbers, strict=True)):
        if pack not in gone:
            yield SegmentRow(ids[32 * i : 32 * i + 32], head.packs[pack], offset, frame_bytes, logical_bytes)


class FilterBuilder:
    """Collects chunk ids into a Bloom filter of 8 to 16 bits a row, four of which are set by each id.

    An id is a hash already: its first four words say which.
    """

    def __init__(self, n_rows: int) -> None:
        self._set = np.zeros(1 << min(27, max(10, (8 * n_rows - 1).bit_length())), np.bool_)

    def add(self, ids: npt.NDArray[np.uint8]) -> None:
        """Take (n, 32) ids in."""
        self._set[ids.view("<u4")[:, :4] & np.uint32(len(self._set) - 1)] = True

    def record(self) -> SegmentFilter:
        """What was collected."""
        return SegmentFilter(np.packbits(self._set, bitorder="little").tobytes())


def may_hold(filter_bits: bytes, chunk_id: bytes) -> bool:
    """False if the filter shows that no row has this id."""
    mask = 8 * len(filter_bits) - 1
    for at in range(0, 16, 4):
        bit = int.from_bytes(chunk_id[at : at + 4], "little") & mask
        if not filter_bits[bit >> 3] >> (bit & 7) & 1:
            return False
    return True


class Counted:
    """Pages on their way into a segment, each with its number of rows; what its head says of them is counted."""

    def __init__(self, pages: Iterable[SegmentPage], n_packs: int, most_rows: int) -> None:
        self._pages = pages
        self.n_rows, self.fences = 0, list[bytes]()
        self.pack_rows = np.zeros(n_packs, np.int64)
        self.filter = FilterBuilder(most_rows)

    def __iter__(self) -> Iterator[tuple[SegmentPage, int]]:
        for page in self._pages:
            ids = np.frombuffer(page.chunk_ids, np.uint8).reshape(-1, 32)
            self.n_rows += len(ids)
            self.fences.append(page.chunk_ids[:32])
            self.pack_rows += np.bincount(np.frombuffer(page.pack_of, "<u4"), minlength=len(self.pack_rows))
            self.filter.add(ids)
            yield page, len(ids)
