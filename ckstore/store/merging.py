"""Segments merged into one, by ranges of ids, so that memory does not grow with their size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ckstore.format import segment
from ckstore.format.names import SEGMENT
from ckstore.format.records import ObjectRef
from ckstore.format.segment import Columns, Segment, SegmentPage
from ckstore.store.objects import Objects

_PAGES_AT_ONCE = 16


class _Input:
    """One of the segments, read from its first id to its last."""

    def __init__(self, objects: Objects, ref: ObjectRef, head: Segment, position: dict[str, int]) -> None:
        self._objects, self._ref, self._head = objects, ref, head
        gone = set(head.gone)
        names = [pack.name for pack in head.packs]
        self._new = np.array([-1 if i in gone else position.get(name, -1) for i, name in enumerate(names)], np.int64)
        self._fences = np.frombuffer(head.fences, ">u2").reshape(-1, 16)[:, 0]
        self._held: dict[int, Columns] = {}

    def rows(self, start: int, stop: int) -> Iterator[Columns]:
        """Rows whose ids begin with two bytes of this range, with the new positions of their packs."""
        first = max(0, int(np.searchsorted(self._fences, start, "left")) - 1)
        for number in range(first, int(np.searchsorted(self._fences, stop - 1, "right"))):
            rows = self._page(number)
            begins = rows.ids.view(">u2")[:, 0]
            packs = self._new[rows.pack_of]
            which = (begins >= start) & (begins < stop) & (packs >= 0)
            yield rows.take(which)._replace(pack_of=packs[which].astype(np.uint32))

    def _page(self, number: int) -> Columns:
        if number not in self._held:
            page = self._objects.page(SEGMENT, self._ref.name, self._head.pages[number], SegmentPage)
            self._held = {number: segment.of_page(self._head, page, f"segment {self._ref.name}")}
        return self._held[number]


class Merge:
    """The rows of several segments as one, sorted by id, less those in packs that are gone or in `without`.

    A chunk that lies in two packs keeps both rows: a pack that no segment names would count as dead.
    """

    def __init__(self, objects: Objects, refs: Sequence[ObjectRef], without: frozenset[str] = frozenset()) -> None:
        heads = [(ref, objects.segment(ref)) for ref in refs]
        packs = {pack.name: pack for _, head in heads for pack in head.packs_left if pack.name not in without}
        self.packs = list(packs.values())
        self.most_rows = sum(head.n_rows for _, head in heads)
        position = {name: i for i, name in enumerate(packs)}
        self._inputs = [_Input(objects, ref, head, position) for ref, head in heads]

    def pages(self) -> Iterator[SegmentPage]:
        """Full pages, and a last one."""
        waiting: list[Columns] = []
        for part in self._parts():
            rows = segment.joined([*waiting, part])
            whole = len(rows.ids) // segment.ROWS_PER_PAGE * segment.ROWS_PER_PAGE
            yield from segment.pages(rows.take(slice(0, whole)))
            waiting = [rows.take(slice(whole, None))]
        for rows in waiting:
            yield from segment.pages(rows)

    def _parts(self) -> Iterator[Columns]:
        n_parts = min(1 << 16, 1 + self.most_rows // (_PAGES_AT_ONCE * segment.ROWS_PER_PAGE))
        bounds: npt.NDArray[np.int64] = np.arange(n_parts + 1, dtype=np.int64) * (1 << 16) // n_parts
        for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            found = [rows for each in self._inputs for rows in each.rows(start, stop)]
            if found:
                yield segment.ordered(segment.joined(found))
