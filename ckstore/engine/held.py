"""The chunks of one job of a save while those after them may be predicted from them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ckstore.codec import scratch
from ckstore.codec.chunk import Reference
from ckstore.codec.scratch import Bytes
from ckstore.engine.before import Before
from ckstore.engine.chunking import Slot
from ckstore.engine.parent import Chain, Known
from ckstore.format.frame import ROLE_MOMENTUM, ROLE_MOMENTUM_BEFORE, ROLE_PREVIOUS, ROLE_WEIGHTS, ROLE_WEIGHTS_BEFORE

_BEFORE = {ROLE_MOMENTUM: ROLE_MOMENTUM_BEFORE, ROLE_WEIGHTS: ROLE_WEIGHTS_BEFORE}


class Candidate(NamedTuple):
    """A chunk that another may be encoded on top of."""

    reference: Reference
    chunk_id: bytes
    chain: Chain


class Held:
    """One chunk of a job: its bytes, those of the parent's chunk, and, once settled, what it is stored as."""

    def __init__(self, slot: Slot, known: Known | None, live: memoryview, position: int, before: Before) -> None:
        """position: of the slot in its job. before: what the job's chunks were in the parent."""
        self.slot, self.known = slot, known
        self.unchanged = known is not None and before.is_same(known, live)
        self.chunk_id = b""
        self.chain: Chain | None = None
        self._live, self._position, self._before = live, position, before
        self._copy: Bytes | None = None

    def settle(self, chunk_id: bytes, chain: Chain) -> None:
        """What the chunk is stored as."""
        self.chunk_id, self.chain = chunk_id, chain

    def copy(self) -> Bytes:
        """One private copy of the chunk, the same at every call: the caller may change its own meanwhile."""
        if self._copy is None:
            self._copy = scratch.buffer(f"chunk {self._position}", len(self._live))
            np.copyto(self._copy, scratch.as_bytes(self._live))
        return self._copy

    def as_previous(self, known: Known, chain: Chain) -> list[Candidate]:
        """The parent's chunk as what this one may be a delta of, if it can be read."""
        before = self._before.get(known)
        if before is None:
            return []
        return [Candidate(Reference(ROLE_PREVIOUS, known.dtype, memoryview(before)), known.chunk_id, chain)]

    def as_companion(self, role: int, before: Chain | None) -> list[Candidate]:
        """This chunk in a role for a later one, and the parent's beside it. before: the chain of the parent's."""
        found: list[Candidate] = []
        now = self._now()
        if now is not None and self.chain is not None:
            found.append(Candidate(Reference(role, self.slot.view.dtype, now), self.chunk_id, self.chain))
        known = self.known
        if role in _BEFORE and before is not None and known is not None and self.is_like(known):
            then = self._before.get(known)
            if then is not None:
                reference = Reference(_BEFORE[role], known.dtype, memoryview(then))
                found.append(Candidate(reference, known.chunk_id, before))
        return found

    def _now(self) -> memoryview | None:
        """The bytes of the chunk as it is stored; None if the caller changed them since it was compared."""
        is_compared = self._copy is not None
        data = self.copy()
        if is_compared or (self.known is not None and self._before.is_same(self.known, data)):
            return data.data
        return None

    def is_like(self, known: Known) -> bool:
        """Whether the parent's chunk has the same elements: the tensor may have had another shape or dtype."""
        return (known.dtype, known.n_bytes) == (self.slot.view.dtype, len(self._live))
