"""A closure as it should be: the rows of a checkpoint, with another place for every chunk whose own is damaged.

- A row whose frame is whole stays, unless its pack has any damage: then its frame is copied to a new pack, so that in
  the end nobody names the damaged one.
- A chunk whose frame is damaged, or is based on one that is, gets a place that adopt.py has found. That frame is copied
  too, unless its pack is live: no pack comes back to life that a gc may be about to delete.
- A chunk without any sound place loses its row: a later save would else take the damage over with the unchanged chunk.
  Where that chunk is saved again, or its pack is put back, the next repair finds it.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

from ckstore.engine.health import touched
from ckstore.engine.health.adopt import Sound
from ckstore.engine.health.scan import Place
from ckstore.engine.health.survey import Survey
from ckstore.format.closure import Row
from ckstore.format.manifest import Table
from ckstore.format.records import Entry, PageRef, TensorRow


@dataclass
class Case:
    """A checkpoint whose closure may have to be made anew."""

    entry: Entry
    table: Table
    manifest_pages: list[PageRef]
    old: list[Row] = field(default_factory=list)
    """The rows of its closure; none if that cannot be read."""
    bad: dict[bytes, None] = field(default_factory=dict)
    """Chunks that it needs and that its rows do not give."""
    odd: bool = False
    """Whether its closure cannot be read, or says of itself what is not so."""
    relisted: bool = False
    """Whether no readable part of the catalog names it any more."""

    @property
    def wanted(self) -> dict[bytes, None]:
        """The chunks of its tensors."""
        rows = ((row, columns) for row, columns in self.table if isinstance(row, TensorRow))
        return {columns.chunk_id(i): None for _, columns in rows for i in range(columns.n_chunks)}


def examine(case: Case, seen: Survey) -> None:
    """Fill in what is bad of a case."""
    tainted = touched.by_chunk(case.old, touched.taints(case.old, seen.blame))
    there = {row.chunk_id for row in case.old}
    case.bad = dict.fromkeys((*tainted, *(chunk for chunk in case.wanted if chunk not in there)))


@dataclass
class Mended:
    """A case with the rows of its new closure, as places; bases come first."""

    case: Case
    places: list[Place]
    lost: set[bytes]
    """Chunks of its tensors for which there is no sound place."""
    n_adopted: int = 0
    """Chunks that are read from another place than before."""

    def lost_tensors(self) -> list[str]:
        """Dotted paths of the tensors that cannot be read."""
        return touched.tensors(self.case.table, lambda chunk: ("",) if chunk in self.lost else ()).get("", [])

    def is_new(self, copied: Container[tuple[str, int]]) -> bool:
        """Whether its rows are other than before; `copied` frames lie in new packs."""
        old = {_as_place(self.case.old, i) for i in range(len(self.case.old))}
        same = old == set(self.places) and not any((place.pack, place.offset) in copied for place in self.places)
        return self.case.odd or self.case.relisted or not same


def mend(case: Case, sound: Sound) -> Mended:
    """The rows that a case gets."""
    old = {row.chunk_id: _as_place(case.old, i) for i, row in enumerate(case.old)}
    places = {chunk: place for chunk, place in old.items() if chunk not in case.bad}
    n_kept = len(places)
    for chunk in _needed(case, sound, old):  # in the order of `sound`: bases before what is based on them
        places.setdefault(chunk, sound[chunk])
    n_adopted = len(places) - n_kept
    wanted = case.wanted
    lost = {chunk for chunk in wanted if chunk not in places}
    return Mended(case, _pruned(places, wanted), lost, n_adopted)


def _needed(case: Case, sound: Sound, old: Mapping[bytes, Place]) -> list[bytes]:
    """The bad chunks that have a sound place, and all bases of these places that the case has no good row for."""
    needed: set[bytes] = set()
    todo = [chunk for chunk in case.bad if chunk in sound]
    while todo:
        chunk = todo.pop()
        if chunk not in needed:
            needed.add(chunk)
            todo.extend(base for base in sound[chunk].base_ids if base in case.bad or base not in old)
    return [chunk for chunk in sound if chunk in needed]


def _as_place(rows: Sequence[Row], i: int) -> Place:
    row = rows[i]
    bases = tuple(rows[base].chunk_id for base in row.bases)
    return Place(row.chunk_id, row.pack.name, row.offset, row.frame_bytes, row.logical_bytes, bases)


def _pruned(places: Mapping[bytes, Place], wanted: Mapping[bytes, None]) -> list[Place]:
    """The places of the wanted chunks and of their bases, in order."""
    needed: set[bytes] = set()
    todo = [chunk for chunk in wanted if chunk in places]
    while todo:
        chunk = todo.pop()
        if chunk not in needed:
            needed.add(chunk)
            todo.extend(base for base in places[chunk].base_ids if base in places)
    return [place for chunk, place in places.items() if chunk in needed]
