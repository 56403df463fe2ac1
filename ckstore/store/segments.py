"""Segments: sorted lists of where chunks lie. Which packs a root names as live, finding a chunk by id, merging.

INVARIANT: a segment names a pack no more, at the latest, from the root step on that condemns it. So a hit is valid for
the root under which it was found, and only for that root.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from threading import RLock

from ckstore.errors import UNREADABLE, IntegrityError
from ckstore.format import segment
from ckstore.format.names import PACK, SEGMENT
from ckstore.format.records import ObjectRef, Root
from ckstore.format.segment import Columns, Segment, SegmentFilter, SegmentPage, SegmentRow
from ckstore.store.objects import Objects

MERGE_FACTOR = 8
MAX_MERGED_ROWS = 1 << 20
"""A merge never makes a larger segment: it would be rewritten for the sake of a few new rows, within a save."""
_CACHED_PAGES = 64
_CACHED_FILTER_BYTES = 32 << 20


class Segments:
    """Looks up chunks in the segments of a root. Thread-safe."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._pages: OrderedDict[tuple[str, int], SegmentPage] = OrderedDict()
        self._filters: dict[bytes, bytes] = {}
        self._lock = RLock()

    def live_packs(self, root: Root) -> set[str]:
        """Names of the packs that the segments of `root` name live: neither condemned nor being deleted.

        A damaged segment names none: what lies in its packs is not known then, and is stored anew.
        """
        heads = [head for _, head in self._readable(root.segments)]
        named = {pack.name for head in heads for pack in head.packs_left}
        wanted = {head.filter.digest for head in heads if head.filter is not None}
        with self._lock:
            self._filters = {digest: bits for digest, bits in self._filters.items() if digest in wanted}
        return named - {item.name for item in (*root.condemned, *root.deleting) if item.kind == PACK}

    def _readable(self, refs: Iterable[ObjectRef]) -> Iterator[tuple[ObjectRef, Segment]]:
        for ref in refs:
            with suppress(*UNREADABLE):  # a list that serves deduplication must not stop a save
                yield ref, self._objects.segment(ref)

    def find(self, root: Root, chunk_id: bytes) -> Iterator[SegmentRow]:
        """Every place where `root` says this chunk lies, newest segment first; a damaged segment hides its own."""
        for ref, head in self._readable(reversed(root.segments)):
            with suppress(*UNREADABLE):
                if self._may_hold(ref, head, chunk_id):
                    yield from self._find_in(ref, head, chunk_id)

    def _may_hold(self, ref: ObjectRef, head: Segment, chunk_id: bytes) -> bool:
        if head.filter is None:
            return True
        with self._lock:
            bits = self._filters.get(head.filter.digest)
            held = sum(map(len, self._filters.values()))
        if bits is None:
            if held + head.filter.raw_bytes > _CACHED_FILTER_BYTES:
                return True
            bits = self._objects.page(SEGMENT, ref.name, head.filter, SegmentFilter).bits
            with self._lock:
                self._filters[head.filter.digest] = bits
        return segment.may_hold(bits, chunk_id)

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

    def columns(self, ref: ObjectRef) -> Iterator[Columns]:
        """All pages of a segment, validated, its filter too."""
        head = self._objects.segment(ref)
        filtered = head.filter and self._objects.page(SEGMENT, ref.name, head.filter, SegmentFilter)
        for page_ref in head.pages:
            page = self._objects.page(SEGMENT, ref.name, page_ref, SegmentPage)
            rows = segment.of_page(head, page, f"segment {ref.name}")
            if filtered and not all(segment.may_hold(filtered.bits, bytes(chunk_id)) for chunk_id in rows.ids[::64]):
                raise IntegrityError(f"segment {ref.name}: its filter denies a chunk", object=f"segment {ref.name}")
            yield rows

    def due(self, refs: Sequence[ObjectRef]) -> tuple[int, list[ObjectRef]]:
        """(level, segments of that level) if a level is full and wants merging, else (0, [])."""
        by_level: dict[int, list[ObjectRef]] = {}
        for ref, head in self._readable(refs):
            if head.n_rows <= MAX_MERGED_ROWS // MERGE_FACTOR:
                by_level.setdefault(head.level, []).append(ref)
        for level in sorted(by_level):
            if len(by_level[level]) >= MERGE_FACTOR:
                return level, by_level[level]
        return 0, []


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
