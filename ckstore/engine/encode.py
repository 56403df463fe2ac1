"""One job of a save, on a worker thread: is each chunk known? Else encode it, decode it back and compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import xxhash
from blake3 import blake3

from ckstore._native import kernels
from ckstore.codec import scratch
from ckstore.codec.chunk import Encoded, Reference, decode_into, encode
from ckstore.codec.levels import Level
from ckstore.codec.scratch import Bytes
from ckstore.engine.chunking import Job, Slot
from ckstore.engine.closures import Found
from ckstore.engine.decode import Decoder, Logical
from ckstore.engine.held import Candidate, Held
from ckstore.engine.lookup import Lookup
from ckstore.engine.parent import Chain, Known, Parent, frame_cost, on_top
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE, IntegrityError
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
        held: list[Held] = []
        outcomes: list[Outcome] = []
        decoded: dict[bytes, Logical] = {}
        for position, slot in enumerate(job):
            known = self.parent.chunk(slot.view.path, slot.index)
            live = slot.view.read(slot.start, slot.stop)
            held.append(Held(self, slot, known, live, position, decoded))
            if known is not None and self.quick(live) == known.quick_hash:
                outcomes.append(Outcome(slot, known.chunk_id, known.quick_hash, row=known.row))
                held[-1].settle(known.chunk_id, self.parent.chain(known.row))
                continue
            # From here on one private copy is hashed, encoded and compared: the caller may change its own meanwhile.
            outcomes.append(self._settle(held[-1], held[-1].copy(), held))
        for one, outcome in zip(held, outcomes, strict=True):
            # a run's first checkpoint may be its only one: fresh memory costs more than a later read
            if one.known is not None and outcome.frame is not None:
                self.session.bases.replace(one.known.chunk_id, outcome.chunk_id, one.copy())
        return outcomes

    def quick(self, data: Bytes | Logical) -> bytes:
        """The hash by which a chunk is compared with its parent's."""
        return xxhash.xxh3_128_digest(data, seed=self.root.hash_seed)

    def _settle(self, mine: Held, data: Bytes, held: Sequence[Held]) -> Outcome:
        slot, quick, chunk_id = mine.slot, self.quick(data), blake3(data).digest()
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
        candidates = [*self._previous(mine, data), *self._companions(mine, held)]
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

    def _previous(self, mine: Held, data: Bytes) -> list[Candidate]:
        """The parent's chunk, if a delta against it is allowed."""
        known, slot = mine.known, mine.slot
        if known is None or (known.dtype, known.n_bytes) != (slot.view.dtype, len(data)):
            return []
        chain = self.parent.chain(known.row)
        if chain.cost >= self.root.chain_cost_milli / 1000 or chain.frames >= self.root.chain_frames:
            return []
        return mine.as_previous(known, chain)

    def read_parent(self, known: Known, decoded: dict[bytes, Logical]) -> Logical | None:
        """Logical bytes of a chunk of the parent, checked; None if it cannot be read. decoded: others of the job."""

        def here(chunk_id: bytes) -> Logical | None:
            data = decoded.get(chunk_id)
            return self.session.bases.get(chunk_id) if data is None else data

        try:
            base = Decoder(self.session.repo, self.parent.rows, here).chunk(known.row)
        except UNREADABLE:
            return None  # the parent is damaged: this checkpoint must not depend on it
        return base if self.quick(base) == known.quick_hash else None

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
