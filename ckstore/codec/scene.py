"""A sample of a chunk beside the same sample of its possible bases: predictions of it, and how near they come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ckstore.codec.hints import Hints
from ckstore.codec.predict import WIDTHS, Predictor
from ckstore.codec.sample import take
from ckstore.codec.scratch import Bytes
from ckstore.format.frame import ROLE_MOMENTUM, ROLE_MOMENTUM_BEFORE, ROLE_PREVIOUS

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_SCREEN = 1024
_THIN = 3
_ENOUGH = 3000
"""Of more numbers than this, one in three is enough to fit three coefficients to."""
_RESTING_SHARE = 1 / 64
MIN_ROWS = 64
"""Fewer elements are not enough to fit anything."""
_RIDGE = 1e-9


class Source(NamedTuple):
    """A possible base: its position in the references, its dtype (ckstore.codec.predict.DTYPES), its bytes."""

    position: int
    dtype: int
    data: Bytes


class Proposal(NamedTuple):
    """A predictor, and the roles of its bases in order."""

    predictor: Predictor
    roles: tuple[int, ...]

    @property
    def needs_others(self) -> bool:
        """Whether it takes more than the chunk's own past."""
        return self.roles != (ROLE_PREVIOUS,)


@dataclass(frozen=True)
class Scene:
    """A sample of a chunk, and all that may tell about it. sources has ROLE_PREVIOUS, of the chunk's own dtype."""

    dtype: int
    hints: Hints
    sources: Mapping[int, Source]
    sample: Bytes
    _taken: dict[int, Bytes] = field(default_factory=dict)

    @cached_property
    def now(self) -> Floats:
        """The sample as numbers."""
        return _floats(self.sample, self.dtype)

    def has(self, *roles: int) -> bool:
        """Whether there are bases in all of these roles."""
        return all(role in self.sources for role in roles)

    def taken(self, role: int) -> Bytes:
        """The same sample of a base."""
        if role not in self._taken:
            source = self.sources[role]
            self._taken[role] = take(source.data, WIDTHS[source.dtype])
        return self._taken[role]

    def floats(self, role: int) -> Floats:
        """The same sample of a base, as numbers."""
        return _floats(self.taken(role), self.sources[role].dtype)

    @cached_property
    def few_now(self) -> Floats:
        """Of the numbers of the sample as many as a fit needs."""
        return np.ascontiguousarray(self.now[:: self._step])

    def few(self, role: int) -> Floats:
        """The same ones of a base."""
        return np.ascontiguousarray(self.floats(role)[:: self._step])

    @property
    def _step(self) -> int:
        return _THIN if len(self.now) > _ENOUGH else 1

    def proposal(self, formula: int, roles: tuple[int, ...], coefficients: tuple[float, ...]) -> Proposal:
        """A proposal with these coefficients, each rounded to binary32."""
        dtypes = tuple(self.sources[role].dtype for role in roles)
        numbers = tuple(float(np.float32(c)) for c in coefficients)
        return Proposal(Predictor(formula, self.dtype, dtypes, numbers), roles)

    def predicted(self, proposal: Proposal, most: int | None = None) -> Bytes:
        """The prediction of the sample, or of its first `most` elements. It lies in a buffer of this thread."""
        n = len(self.now) if most is None else min(most, len(self.now))
        bases = [self.taken(role)[: n * WIDTHS[self.sources[role].dtype]] for role in proposal.roles]
        return proposal.predictor.run(bases, n, "sample prediction")

    def closest(self, proposals: list[Proposal]) -> list[Proposal]:
        """The one whose prediction of the first elements is nearest; none if there are none."""
        return [min(proposals, key=self._distance)] if len(proposals) > 1 else proposals

    def _distance(self, proposal: Proposal) -> float:
        found = _floats(self.predicted(proposal, _SCREEN), self.dtype)
        apart = np.abs(found - self.now[: len(found)])
        total = float(apart.sum())
        if np.isfinite(total):
            return total
        finite = apart[np.isfinite(apart)]
        return float(finite.sum(dtype=np.float64)) + len(apart) - len(finite)

    @cached_property
    def resting(self) -> Mask | None:
        """Where the first moment did not change, bit for bit, if that is at many places."""
        if not self.has(ROLE_MOMENTUM, ROLE_MOMENTUM_BEFORE):
            return None
        now, before = self.floats(ROLE_MOMENTUM), self.floats(ROLE_MOMENTUM_BEFORE)
        same = np.equal(now.view(np.uint32), before.view(np.uint32))
        return same if np.count_nonzero(same) >= _RESTING_SHARE * len(same) else None

    @property
    def few_moving(self) -> Mask | None:
        """The inverse, of the few."""
        return None if self.resting is None else ~self.resting[:: self._step]


def least_squares(columns: list[Floats], target: Floats, where: Mask | None) -> tuple[float, ...] | None:
    """Coefficients of `columns` that come nearest to `target`, in squares; None if there is too little to go by."""
    rows = np.stack([*columns, target]).astype(np.float64)
    use = np.isfinite(rows).all(0) if where is None else np.isfinite(rows).all(0) & where
    rows = rows if use.all() else rows[:, use]
    gram = rows @ rows.T
    scale = np.sqrt(gram.diagonal())
    if rows.shape[1] < MIN_ROWS or not scale[-1] or not np.isfinite(scale).all():
        return None
    unit = np.where(scale > 0, scale, 1.0)
    gram /= np.outer(unit, unit)
    solved = np.linalg.solve(gram[:-1, :-1] + _RIDGE * np.eye(len(columns)), gram[:-1, -1])
    return tuple(float(c) for c in solved * unit[-1] / unit[:-1])


def _floats(data: Bytes, dtype: int) -> Floats:
    if dtype == 0:
        return data.view("<f4")
    if dtype == 1:
        return (data.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
    return data.view("<f2").astype(np.float32)
