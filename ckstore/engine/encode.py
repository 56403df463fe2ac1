"""One job of a save, on a worker thread: is each chunk known? Else encode it, decode it back and compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xxhash
from blake3 import blake3

from ckstore._native import kernels
from ckstore.codec import scratch
from ckstore.codec.chunk import Encoded, Reference, decode_into, encode
from ckstore.codec.levels import Level
from ckstore.codec.scratch import Bytes
from ckstore.engine.chunking import Job, Slot
from ckstore.engine.closures import Found
from ckstore.engine.decode import Decoder
from ckstore.engine.parent import Chain, Known, Parent, frame_cost
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE, IntegrityError
from ckstore.format.frame import MAX_DEPTH, RAW, ROLE_MASTER, ROLE_PREVIOUS, Base, Frame
from ckstore.format.pack import Packed, packed
from ckstore.format.records import Root
from ckstore.format.segment import SegmentRow
from ckstore.tensor import dotted

LOOKUP_FRAMES = MAX_DEPTH
"""Most frames that finding one chunk with its bases may read: more than any chain of a writer has."""
_DERIVED = frozenset({"float16", "bfloat16"})


class Outcome(NamedTuple):
    """What became of a chunk: a row of the parent, a chain found in the store, or a new frame; exactly one is set."""

    slot: Slot
    chunk_id: bytes
    quick_hash: bytes
    row: int | None = None
    found: tuple[Found, ...] = ()
    frame: Packed | None = None


class _Held(NamedTuple):
    """A chunk of this job that a later one may be derived from."""

    dtype: str
    chunk_id: bytes
    data: Bytes


@dataclass(frozen=True)
class Encoder:
    """Encodes the jobs of one save. Shared by the worker threads; holds no state of its own."""

    session: Session
    root: Root
    parent: Parent
    live_packs: frozenset[str]
    level: Level = Level.BALANCED

    def run(self, job: Job) -> list[Outcome]:
        """Outcomes of a job's chunks, in order."""
        outcomes: list[Outcome] = []
        held: _Held | None = None
        for position, slot in enumerate(job):
            known = self.parent.chunk(slot.view.path, slot.index)
            live = slot.view.read(slot.start, slot.stop)
            if len(job) == 1 and known is not None and self._quick(live) == known.quick_hash:
                return [Outcome(slot, known.chunk_id, known.quick_hash, row=known.row)]
            # From here on one private copy is hashed, encoded and compared: the caller may change its own meanwhile.
            data = scratch.buffer(f"chunk {position}", len(live))
            np.copyto(data, scratch.as_bytes(live))
            outcomes.append(self._settle(slot, data, known, held))
            if slot.view.dtype not in _DERIVED:
                held = _Held(slot.view.dtype, outcomes[-1].chunk_id, data)
        return outcomes

    def holds(self, chunk_id: bytes) -> bool:
        """Whether the store has this chunk in a live pack."""
        return any(row.pack.name in self.live_packs for row in self._places(chunk_id))

    def _places(self, chunk_id: bytes) -> list[SegmentRow]:
        """Where the segments say a chunk lies."""
        return list(self.session.repo.segments.find(self.root, chunk_id))

    def _quick(self, data: Bytes | bytes | bytearray | memoryview) -> bytes:
        return xxhash.xxh3_128_digest(data, seed=self.root.hash_seed)

    def _settle(self, slot: Slot, data: Bytes, known: Known | None, held: _Held | None) -> Outcome:
        quick = self._quick(data)
        if known is not None and quick == known.quick_hash:
            return Outcome(slot, known.chunk_id, quick, row=known.row)
        chunk_id = blake3(data).digest()
        row = self.parent.row_of.get(chunk_id)
        if row is not None:
            return Outcome(slot, chunk_id, quick, row=row)
        chain = self._find(chunk_id, MAX_DEPTH // 2)
        if chain is not None and self._frames(chain) < MAX_DEPTH:  # a rounding may come on top
            return Outcome(slot, chunk_id, quick, found=tuple(chain))
        frame = self._encode(slot, data, chunk_id, known, held)
        if known is not None:  # a run's first checkpoint may be its only one: fresh memory costs more than a later read
            self.session.bases.replace(known.chunk_id, chunk_id, data)
        return Outcome(slot, chunk_id, quick, frame=frame)

    def _find(self, chunk_id: bytes, depth: int, budget: Iterator[int] | None = None) -> list[Found] | None:
        """The chunk and its bases as the store holds them, bases first; None if any of it is absent or unreadable."""
        budget = budget or iter(range(LOOKUP_FRAMES))
        for where in self._places(chunk_id):
            if where.pack.name not in self.live_packs or depth == 0:
                continue
            if next(budget, None) is None:
                return None  # frames that name each other as bases could branch without end
            try:
                frame = self.session.repo.packs.frame(where.pack.name, where.offset, where.frame_bytes)
            except UNREADABLE:
                continue  # a damaged copy is no reason not to save a good one
            if frame.chunk_id == chunk_id and (chain := self._find_bases(frame, depth, budget)) is not None:
                return [*chain, Found(where, tuple(base.chunk_id for base in frame.bases))]
        return None

    def _find_bases(self, frame: Frame, depth: int, budget: Iterator[int]) -> list[Found] | None:
        chain: list[Found] = []
        for base in frame.bases:
            if base.chunk_id not in self.parent.row_of:
                more = self._find(base.chunk_id, depth - 1, budget)
                if more is None:
                    return None
                chain.extend(more)
        return chain

    def _frames(self, chain: list[Found]) -> int:
        """How many frames the last chunk of a found chain is decoded from, those of the parent below it included."""
        frames: dict[bytes, int] = {}
        for found in chain:
            below = (frames.get(base) or self.parent.chains[self.parent.row_of[base]].frames for base in found.base_ids)
            frames[found.where.chunk_id] = 1 + sum(below)
        return frames[chain[-1].where.chunk_id]

    def _encode(self, slot: Slot, data: Bytes, chunk_id: bytes, known: Known | None, held: _Held | None) -> Packed:
        references, ids = [], []
        previous = self._previous(slot, data, known)
        if previous is not None and known is not None:
            references.append(Reference(ROLE_PREVIOUS, slot.view.dtype, memoryview(previous)))
            ids.append(known.chunk_id)
        if held is not None and slot.view.dtype in _DERIVED:
            references.append(Reference(ROLE_MASTER, held.dtype, held.data.data))
            ids.append(held.chunk_id)
        encoded = encode(data.data, slot.view.dtype, references, level=self.level)
        if previous is not None and known is not None and 0 in encoded.used and not self._fits(known, encoded, data):
            references, ids = references[1:], ids[1:]
            encoded = encode(data.data, slot.view.dtype, references, level=self.level)
        _compare(slot, data, encoded, references)
        bases = tuple(Base(references[i].role, ids[i]) for i in encoded.used)
        # a raw payload is the scratch buffer itself
        payload = bytes(encoded.payload) if encoded.codec == RAW else encoded.payload
        return packed(Frame(encoded.codec, chunk_id, len(data), bases, encoded.params, payload))

    def _chain_limit(self) -> Chain:
        return Chain(self.root.chain_cost_milli / 1000, self.root.chain_frames)

    def _fits(self, known: Known, encoded: Encoded, data: Bytes) -> bool:
        chain = self.parent.chains[known.row]
        return chain.cost + frame_cost(len(encoded.payload), len(data)) <= self._chain_limit().cost

    def _previous(self, slot: Slot, data: Bytes, known: Known | None) -> bytes | bytearray | memoryview | None:
        """Logical bytes of the parent's chunk, if a delta against it is allowed."""
        if known is None or known.dtype != slot.view.dtype or self.parent.rows[known.row].logical_bytes != len(data):
            return None
        chain, limit = self.parent.chains[known.row], self._chain_limit()
        if chain.cost >= limit.cost or chain.frames >= limit.frames:
            return None
        cached = self.session.bases.get(known.chunk_id)
        if cached is not None:
            return cached
        try:
            base = Decoder(self.session.repo, self.parent.rows, self.session.bases.get).chunk(known.row)
        except UNREADABLE:
            return None  # the parent is damaged: this checkpoint must not depend on it
        return base if self._quick(base) == known.quick_hash else None


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
