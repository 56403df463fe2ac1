"""Segments: sorted lists of where chunks lie. Which packs a root names as live, finding a chunk by id, merging.

INVARIANT: a segment stops naming a pack in the same root step that condemns it, so a hit is valid for the root under
which it was found, and only for that root.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from threading import RLock

from ckstore.errors import UNREADABLE
from ckstore.format import segment
from ckstore.format.names import PACK, SEGMENT
from ckstore.format.records import ObjectRef, Root, Segment, SegmentPage
from ckstore.format.segment import SegmentRow
from ckstore.store.objects import Objects

MERGE_FACTOR = 8
_CACHED_PAGES = 64


class Segments:
    """Looks up chunks in the segments of a root. Thread-safe."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._pages: OrderedDict[tuple[str, int], SegmentPage] = OrderedDict()
        self._lock = RLock()

    def live_packs(self, root: Root) -> set[str]:
        """Names of the packs that the segments of `root` name live: neither condemned nor being deleted.

        A damaged segment names none: what lies in its packs is not known then, and is stored anew.
        """
        named = {pack.name for _, head in self._readable(root.segments) for pack in head.packs}
        return named - {item.name for item in (*root.condemned, *root.deleting) if item.kind == PACK}

    def _readable(self, refs: Iterable[ObjectRef]) -> Iterator[tuple[ObjectRef, Segment]]:
        for ref in refs:
            with suppress(*UNREADABLE):  # a list that serves deduplication must not stop a save
                yield ref, self._objects.segment(ref)

    def find(self, root: Root, chunk_id: bytes) -> Iterator[SegmentRow]:
        """Every place where `root` says this chunk lies, newest segment first; a damaged segment hides its own."""
        for ref, head in self._readable(reversed(root.segments)):
            with suppress(*UNREADABLE):
                yield from self._find_in(ref, head, chunk_id)

    def _find_in(self, ref: ObjectRef, head: Segment, chunk_id: bytes) -> Iterator[SegmentRow]:
        for number in segment.pages_of(head, chunk_id):
            page = self._page(ref, head, number)
            ids = _Ids(page.chunk_ids)
            at = bisect_left(ids, chunk_id)
            while at < len(ids) and ids[at] == chunk_id:
                yield from segment.from_page(head, _one_row(page, at), f"segment {ref.name}")
                at += 1

    def _page(self, ref: ObjectRef, head: Segment, number: int) -> SegmentPage:
        key = (ref.name, number)
        with self._lock:
            if key in self._pages:
                self._pages.move_to_end(key)
                return self._pages[key]
        page = self._objects.page(SEGMENT, ref.name, head.pages[number], SegmentPage)
        with self._lock:
            self._pages[key] = page
            if len(self._pages) > _CACHED_PAGES:
                self._pages.popitem(last=False)
        return page

    def rows(self, ref: ObjectRef) -> Iterator[SegmentRow]:
        """All rows of a segment, in order of id."""
        head = self._objects.segment(ref)
        for page_ref in head.pages:
            page = self._objects.page(SEGMENT, ref.name, page_ref, SegmentPage)
            yield from segment.from_page(head, page, f"segment {ref.name}")

    def merged(self, refs: Iterable[ObjectRef], without: frozenset[str] = frozenset()) -> Iterator[SegmentRow]:
        """The rows of several segments as one sorted list, less those in the packs `without`.

        A chunk that lies in two packs keeps both rows: a pack that no segment names would count as dead.
        """
        kept = (row for row in heapq.merge(*map(self.rows, refs), key=_chunk_id) if row.pack.name not in without)
        for _, same in groupby(kept, key=_chunk_id):
            yield from {row.pack.name: row for row in same}.values()

    def due(self, refs: Sequence[ObjectRef]) -> tuple[int, list[ObjectRef]]:
        """(level, segments of that level) if a level is full and wants merging, else (0, [])."""
        by_level: dict[int, list[ObjectRef]] = {}
        for ref, head in self._readable(refs):
            by_level.setdefault(head.level, []).append(ref)
        for level in sorted(by_level):
            if len(by_level[level]) >= MERGE_FACTOR:
                return level, by_level[level]
        return 0, []


def _chunk_id(row: SegmentRow) -> bytes:
    return row.chunk_id


class _Ids(Sequence[bytes]):
    """The ids of a page as a sequence to bisect, without cutting them apart first."""

    def __init__(self, column: bytes) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column) // 32

    def __getitem__(self, i: int) -> bytes:  # type: ignore[override]  # bisect asks for single items only
        return self._column[32 * i : 32 * i + 32]


def _one_row(page: SegmentPage, at: int) -> SegmentPage:
    return SegmentPage(
        chunk_ids=page.chunk_ids[32 * at : 32 * at + 32],
        pack_of=page.pack_of[4 * at : 4 * at + 4],
        offsets=page.offsets[8 * at : 8 * at + 8],
        frame_bytes=page.frame_bytes[4 * at : 4 * at + 4],
        logical_bytes=page.logical_bytes[4 * at : 4 * at + 4],
    )
