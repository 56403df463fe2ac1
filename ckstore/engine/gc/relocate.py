"""Frames that get another place: written to new packs of one writer, then named by new closures in one root step.

What was moved lies in both places until that step. Who reads or saves beside it keeps on using the old one: a saver's
new checkpoint then holds the old pack alive, and the next gc finds it again. A writer that dies leaves packs and
closures that no root names, which the next gc removes like those of any dead saver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from ckstore.engine.parent import load_closure
from ckstore.engine.republish import put_closure, republish, with_closure
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE, UnsupportedError
from ckstore.format.closure import Row
from ckstore.format.names import MANIFEST
from ckstore.format.pack import Packed
from ckstore.format.records import Entry, ManifestPage, ObjectRef, PageRef
from ckstore.format.segment import SegmentRow
from ckstore.store.objects import held_by
from ckstore.store.packs import Placed
from ckstore.store.repository import Repository
from ckstore.store.writer import Writer

Place = tuple[str, int]
"""(pack, offset)"""
Edit = Callable[[Entry], Entry]
_NO_NOTES: Mapping[bytes, Edit] = MappingProxyType({})


class Moved(NamedTuple):
    """Where a frame is now, and what it is based on there: all that it was, or less where it was encoded anew."""

    chunk_id: bytes
    logical_bytes: int
    placed: Placed
    base_ids: tuple[bytes, ...]


class _Renewed(NamedTuple):
    """A closure that is still to be written."""

    rows: list[Row]
    old_pages: Sequence[PageRef]
    manifest_pages: Sequence[PageRef]
    extra: msgspec.Raw


class Relocation:
    """Collects moved frames, and publishes them."""

    def __init__(self, session: Session, writer: Writer) -> None:
        self._repo, self._writer = session.repo, writer
        self._moved: dict[Place, Moved] = {}
        self._shared: dict[bytes, PageRef] = {}
        self.packs: list[ObjectRef] = []
        """Where the frames are, once they are published."""

    def __contains__(self, row: Row) -> bool:
        return place_of(row) in self._moved

    def put(self, row: Row, frame: Packed) -> None:
        """Write the frame that takes the place of that of `row`. REQUIRES: its bases are some of the row's."""
        placed = self._writer.packs().append(frame)
        base_ids = tuple(base.chunk_id for base in frame.frame.bases)
        self._moved[place_of(row)] = Moved(row.chunk_id, row.logical_bytes, placed, base_ids)

    def forget(self, is_out: Callable[[Place], bool]) -> None:
        """Leave some frames where they were: their copies are garbage."""
        self._moved = {place: moved for place, moved in self._moved.items() if not is_out(place)}

    def publish(self, entries: Iterable[Entry], notes: Mapping[bytes, Edit] = _NO_NOTES) -> tuple[int, int]:
        """Give those of `entries` (oldest first) that use moved frames new closures, in one root step.

        notes: what else is to be changed in some entries, by id: neither manifest nor closure.
        Returns how many frames were moved, and their bytes. Checkpoints that cannot be read stay as they are.
        """
        if not self._moved:
            if notes:
                republish(self._repo, self._writer, notes, {})
            return 0, 0
        packs = self.packs = self._writer.packs().finish()
        segment = self._writer.put_segment(sorted(_segment_row(moved, packs) for moved in self._moved.values()))
        changes = dict(notes)
        for entry in entries:
            try:
                new = self._renewed(entry, packs)
            except (*UNREADABLE, UnsupportedError):
                continue  # it keeps the old place alive
            if new is not None:
                changes[entry.id] = _both(notes.get(entry.id), with_closure(self._put(entry, new)))
        republish(self._repo, self._writer, changes, {}, [segment])
        return len(self._moved), sum(moved.placed.frame_bytes for moved in self._moved.values())

    def _renewed(self, entry: Entry, packs: Sequence[ObjectRef]) -> _Renewed | None:
        """The closure of `entry` with every row at its new place; None if none has moved."""
        rows, pages = load_closure(self._repo, entry)
        moved = [self._moved.get(place_of(row)) for row in rows]
        if not any(moved):
            return None
        new = [_at(rows, i, to, packs) if to else rows[i] for i, to in enumerate(moved)]
        if any(len(now.bases) < len(row.bases) for now, row in zip(new, rows, strict=True)):
            new = pruned(new, chunk_ids(self._repo, entry))
        extra = self._repo.objects.closure(entry.closure).extra
        return _Renewed(new, pages, self._repo.objects.manifest(entry.manifest).pages, extra)

    def _put(self, entry: Entry, new: _Renewed) -> ObjectRef:
        own = held_by(entry.closure.name, new.old_pages)
        shared = {**own, **self._shared}
        ref, made = put_closure(self._writer, new.rows, new.manifest_pages, shared, new.extra)
        # only pages that this writer has put: those of other entries may be gone by the commit
        written = [page for page in made if page.digest not in own]
        self._shared.update(held_by(ref.name, written))
        return ref


def _both(first: Edit | None, second: Edit) -> Edit:
    return second if first is None else lambda old: second(first(old))


def place_of(row: Row) -> Place:
    """Where a row's frame lies."""
    return row.pack.name, row.offset


def _at(rows: Sequence[Row], i: int, to: Moved, packs: Sequence[ObjectRef]) -> Row:
    number = {rows[base].chunk_id: base for base in rows[i].bases}
    bases = tuple(number[base_id] for base_id in to.base_ids)
    pack = packs[to.placed.pack]
    return Row(to.chunk_id, pack, to.placed.offset, to.placed.frame_bytes, to.logical_bytes, bases)


def _segment_row(moved: Moved, packs: Sequence[ObjectRef]) -> SegmentRow:
    where = packs[moved.placed.pack], moved.placed.offset, moved.placed.frame_bytes
    return SegmentRow(moved.chunk_id, *where, moved.logical_bytes)


def chunk_ids(repo: Repository, entry: Entry) -> set[bytes]:
    """The ids of the chunks that a checkpoint's manifest names."""
    head = repo.objects.manifest(entry.manifest)
    pages = repo.objects.pages(MANIFEST, entry.manifest.name, head.pages, ManifestPage)
    return {page.chunk_ids[i : i + 32] for page in pages for i in range(0, len(page.chunk_ids), 32)}


def pruned(rows: Sequence[Row], wanted: set[bytes]) -> list[Row]:
    """The rows of the chunks `wanted` and of all that they are decoded from, in their order."""
    needed: set[int] = set()
    for i in range(len(rows) - 1, -1, -1):  # bases come first: seen from the end, whoever needs a row was there before
        if i in needed or rows[i].chunk_id in wanted:
            needed.add(i)
            needed.update(rows[i].bases)
    number = {old: new for new, old in enumerate(sorted(needed))}
    kept = ((rows[old], tuple(number[base] for base in rows[old].bases)) for old in number)
    return [Row(row.chunk_id, row.pack, row.offset, row.frame_bytes, row.logical_bytes, bases) for row, bases in kept]
