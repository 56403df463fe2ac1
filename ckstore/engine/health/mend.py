"""A closure as it should be: the rows of a checkpoint, with another place for every chunk whose own is damaged.

- A row whose frame is whole stays, unless its pack has any damage: then its frame is copied to a new pack, so that in
  the end nobody names the damaged one.
- A chunk whose frame is damaged, or is based on one that is, gets a place that adopt.py has found. That frame is copied
  too, unless its pack is live: no pack comes back to life that a gc may be about to delete.
- A chunk without any sound place loses its row: a later save would else take the damage over with the unchanged chunk.
  Where that chunk is saved again, or its pack is put back, the next repair finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import numpy as np

from ckstore.engine.health import touched
from ckstore.engine.health.adopt import Sound
from ckstore.engine.health.found import Survey
from ckstore.engine.health.numbered import Numbered, Numbers
from ckstore.engine.health.scan import Place
from ckstore.format.closure import Row
from ckstore.format.manifest import Table
from ckstore.format.records import Entry, TensorRow


@dataclass
class Known:
    """The chunks and places of all cases, which tell of them by number."""

    chunks: Numbered[bytes] = field(default_factory=Numbered)
    places: Numbered[Place] = field(default_factory=Numbered)


@dataclass(frozen=True)
class Case:
    """A checkpoint whose closure may have to be made anew."""

    entry: Entry
    wanted: Numbers
    """The chunks of its tensors."""
    old: Numbers
    """The places that its closure names; none if that cannot be read."""
    bad: Numbers
    """Chunks that it needs and that its rows do not give."""
    odd: bool = False
    """Whether its closure cannot be read, or says of itself what is not so."""
    relisted: bool = False
    """Whether no readable part of the catalog names it any more."""


def case_of(
    entry: Entry, table: Table, rows: Sequence[Row], seen: Survey, known: Known, relisted: bool = False
) -> Case:  # fmt: skip
    """The case of a checkpoint with this manifest and these closure rows."""
    tainted = touched.by_chunk(rows, touched.taints(rows, seen.blame))
    tensors = (columns for row, columns in table if isinstance(row, TensorRow))
    wanted = dict.fromkeys(columns.chunk_id(i) for columns in tensors for i in range(columns.n_chunks))
    there = {row.chunk_id for row in rows}
    bad = dict.fromkeys((*tainted, *(chunk for chunk in wanted if chunk not in there)))
    old = known.places.of(_as_place(rows, i) for i in range(len(rows)))
    odd = entry.id in seen.odd
    return Case(entry, known.chunks.of(wanted), old, known.chunks.of(bad), odd, relisted)


@dataclass
class Mended:
    """A case with the rows of its new closure, as places; bases come first."""

    case: Case
    places: Numbers
    lost: Numbers
    """Chunks of its tensors for which there is no sound place."""
    n_adopted: int = 0
    """Chunks that are read from another place than before."""
    lost_tensors: list[str] = field(default_factory=list)
    """Dotted paths of the tensors that cannot be read; filled in where the case is given up for lost."""

    def is_new(self, copied: Numbers) -> bool:
        """Whether its rows are other than before; `copied` places lie in new packs."""
        same = np.array_equal(np.unique(self.case.old), np.unique(self.places))
        return self.case.odd or self.case.relisted or not same or bool(np.isin(self.places, copied).any())


def mend(case: Case, sound: Sound, known: Known) -> Mended:
    """The rows that a case gets."""
    wanted, bad = known.chunks.at(case.wanted), set(known.chunks.at(case.bad))
    old = {place.chunk_id: place for place in known.places.at(case.old)}
    places = {chunk: place for chunk, place in old.items() if chunk not in bad}
    n_kept = len(places)
    for chunk in _needed(bad, sound, old):  # in the order of `sound`: bases before what is based on them
        places.setdefault(chunk, sound[chunk])
    n_adopted = len(places) - n_kept
    lost = (chunk for chunk in wanted if chunk not in places)
    return Mended(case, known.places.of(_pruned(places, wanted)), known.chunks.of(lost), n_adopted)


def _needed(bad: AbstractSet[bytes], sound: Sound, old: Mapping[bytes, Place]) -> list[bytes]:
    """The bad chunks that have a sound place, and all bases of these places that the case has no good row for."""
    needed: set[bytes] = set()
    todo = [chunk for chunk in bad if chunk in sound]
    while todo:
        chunk = todo.pop()
        if chunk not in needed:
            needed.add(chunk)
            todo.extend(base for base in sound[chunk].base_ids if base in bad or base not in old)
    return [chunk for chunk in sound if chunk in needed]


def _as_place(rows: Sequence[Row], i: int) -> Place:
    row = rows[i]
    bases = tuple(rows[base].chunk_id for base in row.bases)
    return Place(row.chunk_id, row.pack.name, row.offset, row.frame_bytes, row.logical_bytes, bases)


def _pruned(places: Mapping[bytes, Place], wanted: Iterable[bytes]) -> list[Place]:
    """The places of the wanted chunks and of their bases, in order."""
    needed: set[bytes] = set()
    todo = [chunk for chunk in wanted if chunk in places]
    while todo:
        chunk = todo.pop()
        if chunk not in needed:
            needed.add(chunk)
            todo.extend(base for base in places[chunk].base_ids if base in places)
    return [place for chunk, place in places.items() if chunk in needed]
