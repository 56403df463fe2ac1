"""Collects the closure of a new checkpoint: rows taken over from the parent, rows found in the store, new frames.

INVARIANT: one row a chunk id; every base has its row before the rows that need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckstore.engine.parent import Parent
from ckstore.format.closure import Row
from ckstore.format.names import CLOSURE, MANIFEST, PACK
from ckstore.format.records import ObjectRef, PageRef
from ckstore.format.segment import SegmentRow
from ckstore.store.packs import Placed


class Found(NamedTuple):
    """A chunk that the store holds already, found by its id, and the ids of its bases."""

    where: SegmentRow
    base_ids: tuple[bytes, ...]


class _New(NamedTuple):
    chunk_id: bytes
    placed: Placed
    logical_bytes: int
    base_ids: tuple[bytes, ...]


class ClosureBuilder:
    """Used by one thread, in the order of the chunks."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._taken: set[int] = set()
        self._found: dict[bytes, Found] = {}
        self._new: dict[bytes, _New] = {}

    def __contains__(self, chunk_id: bytes) -> bool:
        if chunk_id in self._found or chunk_id in self._new:
            return True
        row = self._parent.row_of.get(chunk_id)
        return row is not None and row in self._taken

    def take(self, row: int) -> None:
        """Take over a row of the parent with all its bases."""
        todo = [row]
        while todo:
            i = todo.pop()
            if i not in self._taken:
                self._taken.add(i)
                todo.extend(self._parent.rows[i].bases)

    def add_found(self, chain: Sequence[Found]) -> None:
        """Take over a chunk found in the store. REQUIRES: bases first."""
        for found in chain:
            if found.where.chunk_id not in self:
                self._need(found.base_ids)
                self._found[found.where.chunk_id] = found

    def add_new(self, chunk_id: bytes, placed: Placed, logical_bytes: int, base_ids: tuple[bytes, ...]) -> None:
        """Add a frame that was just written."""
        self._need(base_ids)
        self._new[chunk_id] = _New(chunk_id, placed, logical_bytes, base_ids)

    def _need(self, chunk_ids: tuple[bytes, ...]) -> None:
        for chunk_id in chunk_ids:
            if chunk_id not in self:
                self.take(self._parent.row_of[chunk_id])

    def rows(self, packs: Sequence[ObjectRef]) -> list[Row]:
        """All rows: the parent's in its order (so that whole pages stay equal), then found ones, then new ones."""
        rows: list[Row] = []
        number: dict[bytes, int] = {}

        def add(chunk_id: bytes, pack: ObjectRef, at: tuple[int, int, int], base_ids: Sequence[bytes]) -> None:
            number[chunk_id] = len(rows)
            rows.append(Row(chunk_id, pack, *at, tuple(number[base] for base in base_ids)))

        for i in sorted(self._taken):
            row = self._parent.rows[i]
            ids = [self._parent.rows[base].chunk_id for base in row.bases]
            add(row.chunk_id, row.pack, (row.offset, row.frame_bytes, row.logical_bytes), ids)
        for found in self._found.values():
            where = found.where
            add(where.chunk_id, where.pack, (where.offset, where.frame_bytes, where.logical_bytes), found.base_ids)
        for new in self._new.values():
            at = (new.placed.offset, new.placed.frame_bytes, new.logical_bytes)
            add(new.chunk_id, packs[new.placed.pack], at, new.base_ids)
        return rows

    def segment_rows(self, packs: Sequence[ObjectRef]) -> list[SegmentRow]:
        """Where the new chunks lie, sorted by id."""
        news = sorted(self._new.values(), key=lambda new: new.chunk_id)
        return [SegmentRow(n.chunk_id, packs[n.placed.pack], *n.placed[1:], n.logical_bytes) for n in news]

    def needed(self) -> dict[tuple[int, str], list[SegmentRow]]:
        """Every pack of others that the rows lie in, with those rows."""
        needed: dict[tuple[int, str], list[SegmentRow]] = {}
        for i in self._taken:
            row = self._parent.rows[i]
            where = SegmentRow(row.chunk_id, row.pack, row.offset, row.frame_bytes, row.logical_bytes)
            needed.setdefault((PACK, row.pack.name), []).append(where)
        for found in self._found.values():
            needed.setdefault((PACK, found.where.pack.name), []).append(found.where)
        return needed


def holders(manifest_pages: Sequence[PageRef], closure_pages: Sequence[PageRef]) -> list[tuple[int, str]]:
    """The older manifests and closures in which pages of a checkpoint lie."""
    pages = [*((MANIFEST, ref) for ref in manifest_pages), *((CLOSURE, ref) for ref in closure_pages)]
    return sorted({(kind, ref.holder) for kind, ref in pages if ref.holder})
