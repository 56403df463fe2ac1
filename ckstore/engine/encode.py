"""One job of a save, on a worker thread: is each chunk known? Else encode it, decode it back and compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from blake3 import blake3

from ckstore._native import kernels
from ckstore.codec import scratch
from ckstore.codec.chunk import Encoded, Reference, decode_into, encode
from ckstore.codec.levels import Level
from ckstore.codec.scratch import Bytes
from ckstore.engine.before import Before, quick_hash
from ckstore.engine.chunking import Job, Slot
from ckstore.engine.closures import Found
from ckstore.engine.held import Candidate, Held
from ckstore.engine.lookup import Lookup
from ckstore.engine.parent import Chain, Known, Parent, frame_cost, on_top
from ckstore.engine.session import Session
from ckstore.errors import IntegrityError
from ckstore.format.closure import MAX_WORK
from ckstore.format.frame import COMPANIONS, MAX_DEPTH, RAW, ROLE_MASTER, Base, Frame
from ckstore.format.pack import Packed, packed
from ckstore.format.records import Root
from ckstore.tensor import dotted


class Outcome(NamedTuple):
    """What became of a chunk: a row of the parent, a chain found in the store, or a new frame; exactly one is set."""

    slot: Slot
    chunk_id: bytes
    quick_hash: bytes
    row: int | None = None
    found: tuple[Found, ...] = ()
    frame: Packed | None = None


@dataclass(frozen=True)
class Encoder:
    """Encodes the jobs of one save. Shared by the worker threads; holds no state of its own."""

    session: Session
    root: Root
    parent: Parent
    lookup: Lookup
    level: Level = Level.BALANCED

    def run(self, job: Job) -> list[Outcome]:
        """Outcomes of a job's chunks, in order."""
        before = Before(self.session, self.parent, self.root.hash_seed)
        held = [self._held(slot, position, before) for position, slot in enumerate(job)]
        outcomes = [self._outcome(one, held) for one in held]
        for one, outcome in zip(held, outcomes, strict=True):
            # a run's first checkpoint may be its only one: fresh memory costs more than a later read
            if one.known is not None and outcome.frame is not None:
                self.session.bases.replace(one.known.chunk_id, outcome.chunk_id, one.copy())
        return outcomes

    def _held(self, slot: Slot, position: int, before: Before) -> Held:
        known, live = self.parent.chunk(slot.view.path, slot.index), slot.view.read(slot.start, slot.stop)
        mine = Held(slot, known, live, position, before)
        if known is not None and not mine.unchanged and self._may_extend(mine, known):
            before.want(known)
        return mine

    def _outcome(self, mine: Held, held: Sequence[Held]) -> Outcome:
        known = mine.known
        if known is not None and mine.unchanged:
            mine.settle(known.chunk_id, self.parent.chain(known.row))
            return Outcome(mine.slot, known.chunk_id, known.quick_hash, row=known.row)
        # From here on one private copy is hashed, encoded and compared: the caller may change its own meanwhile.
        return self._settle(mine, mine.copy(), held)

    def _settle(self, mine: Held, data: Bytes, held: Sequence[Held]) -> Outcome:
        slot, quick, chunk_id = mine.slot, quick_hash(data, self.root.hash_seed), blake3(data).digest()
        row = self.parent.row_of.get(chunk_id)
        if row is not None:
            mine.settle(chunk_id, self.parent.chain(row))
            return Outcome(slot, chunk_id, quick, row=row)
        found = self.lookup.find(chunk_id)
        if found is not None:
            links, chain = found
            mine.settle(chunk_id, chain)
            return Outcome(slot, chunk_id, quick, found=links)
        return Outcome(slot, chunk_id, quick, frame=self._encode(mine, data, chunk_id, held))

    def _encode(self, mine: Held, data: Bytes, chunk_id: bytes, held: Sequence[Held]) -> Packed:
        candidates = [*self._previous(mine), *self._companions(mine, held)]
        while True:
            references = [one.reference for one in candidates]
            encoded = encode(data.data, mine.slot.view.dtype, references, hints=mine.slot.hints, level=self.level)
            used = [candidates[i] for i in encoded.used]
            chain = on_top(frame_cost(len(encoded.payload), len(data)), [one.chain for one in used])
            if not used or used[0].reference.role == ROLE_MASTER or self._fits(chain):
                break
            companions = [one for one in used if one.reference.role in COMPANIONS]
            candidates = [
                one for one in candidates if one.reference.role not in COMPANIONS and (companions or one not in used)
            ]
        _compare(mine.slot, data, encoded, references)
        mine.settle(chunk_id, chain)
        bases = tuple(Base(one.reference.role, one.chunk_id) for one in used)
        # a raw payload is the scratch buffer itself
        payload = bytes(encoded.payload) if encoded.codec == RAW else encoded.payload
        return packed(Frame(encoded.codec, chunk_id, len(data), bases, encoded.params, payload))

    def _fits(self, chain: Chain) -> bool:
        """Whether the chain is short enough, with room for what may come on top: a rounding, an average, and a base
        that another job of this save has stored on a longer chain of its own."""
        root = self.root
        short = chain.frames <= min(root.chain_frames, MAX_DEPTH - 8) and chain.work <= MAX_WORK // 2
        return short and chain.cost <= root.chain_cost_milli / 1000

    def _previous(self, mine: Held) -> list[Candidate]:
        """The parent's chunk, if a delta against it is allowed."""
        known = mine.known
        if known is None or not self._may_extend(mine, known):
            return []
        return mine.as_previous(known, self.parent.chain(known.row))

    def _may_extend(self, mine: Held, known: Known) -> bool:
        """Whether the parent's chunk has as many elements, and a chain that may grow."""
        chain = self.parent.chain(known.row)
        is_short = chain.cost < self.root.chain_cost_milli / 1000 and chain.frames < self.root.chain_frames
        return is_short and mine.is_like(known)

    def _companions(self, mine: Held, held: Sequence[Held]) -> list[Candidate]:
        found: list[Candidate] = []
        for role, at in mine.slot.companions:
            known = held[at].known
            before = None if known is None else self.parent.chain(known.row)
            found += held[at].as_companion(role, before)
        return found


def job_bytes(job: Job) -> int:
    """Memory that a job holds at most: every chunk as it is, its base, two more of the base's chain, its frame, and
    decoded again."""
    return 6 * sum(slot.stop - slot.start for slot in job)


def _compare(slot: Slot, data: Bytes, encoded: Encoded, references: list[Reference]) -> None:
    """Decode what was encoded and compare. Source of the rule: compressors that wrote wrong bytes, found at restore."""
    back = scratch.buffer("decoded", len(data))
    bases = [references[i].data for i in encoded.used]
    decode_into(encoded.codec, encoded.params, memoryview(encoded.payload), bases, back.data)
    if not kernels.equal(back, data):
        name = dotted(slot.view.path)
        raise IntegrityError(f"{name}: chunk {slot.index} does not decode to what was encoded: not saved", object=name)
