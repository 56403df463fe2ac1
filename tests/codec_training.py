"""Optimisers as NumPy loops over a small matrix: what a training run leaves in its checkpoints, seeded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ckstore.codec import predict
from ckstore.codec.chunk import Encoded, Reference
from ckstore.codec.hints import Hints, Update
from ckstore.codec.predict import Predictor
from ckstore.format.frame import (
    CODEC_NAMES,
    ROLE_MOMENTUM,
    ROLE_MOMENTUM_BEFORE,
    ROLE_PREVIOUS,
    ROLE_VARIANCE,
    ROLE_WEIGHTS,
    ROLE_WEIGHTS_BEFORE,
)
from codec_material import round_trip

Floats = npt.NDArray[np.float32]
ROWS, COLUMNS = 96, 128
F4 = np.float32


class Adam(NamedTuple):
    """One checkpoint of AdamW: weights, first and second moment."""

    w: Floats
    m: Floats
    v: Floats


LR, BETAS, EPS, DECAY = 1e-3, (0.9, 0.95), 1e-8, 0.1


def adam(steps: int, keep: Sequence[int], lazy: bool = False, seed: int = 0) -> list[Adam]:
    """Checkpoints after the steps `keep` of AdamW (torch's order of operations).

    lazy: half of the rows, others at each step, have no gradient and rest, as with a sparse embedding.
    """
    rng = np.random.default_rng(seed)
    sizes = np.outer(2.0 ** rng.normal(0, 2, ROWS), 2.0 ** rng.normal(0, 2, COLUMNS)) * 1e-4
    w = (rng.standard_normal((ROWS, COLUMNS)) * 0.05).astype(F4)
    drift = rng.standard_normal((ROWS, COLUMNS)) * sizes * 0.3
    m, v, found = np.zeros_like(w), np.zeros_like(w), []
    for step in range(1, steps + 1):
        g = (rng.standard_normal((ROWS, COLUMNS)) * sizes + drift).astype(F4)
        moved = (rng.random(ROWS) < 0.5)[:, None] if lazy else np.True_
        m1 = m + F4(1 - BETAS[0]) * (g - m)
        v1 = F4(BETAS[1]) * v + F4(1 - BETAS[1]) * g * g
        root = np.sqrt(v1) / F4((1 - BETAS[1] ** step) ** 0.5) + F4(EPS)
        w1 = w * F4(1 - LR * DECAY) + F4(-LR / (1 - BETAS[0] ** step)) * m1 / root
        w, m, v = np.where(moved, w1, w), np.where(moved, m1, m), np.where(moved, v1, v)
        if step in keep:
            found.append(Adam(w.copy(), m.copy(), v.copy()))
    return found


def descent(steps: int, keep: Sequence[int], nesterov: bool = False) -> list[tuple[Floats, Floats]]:
    """Checkpoints (weights, buffer) of SGD with momentum 0.9."""
    rng = np.random.default_rng(5)
    w = (rng.standard_normal((ROWS, COLUMNS)) * 0.05).astype(F4)
    buffer, found = np.zeros_like(w), []
    for step in range(1, steps + 1):
        g = (rng.standard_normal((ROWS, COLUMNS)) * 1e-2).astype(F4)
        buffer = F4(0.9) * buffer + g
        w = w - F4(LR) * (g + F4(0.9) * buffer if nesterov else buffer)
        if step in keep:
            found.append((w.copy(), buffer.copy()))
    return found


def update(steps: int | None, step: int | None) -> Update:
    """What an engine knows of these runs, with a wrong candidate beside each right one."""
    return Update((LR * 0.97, LR), (BETAS[0],), (BETAS[1],), (EPS,), (DECAY,), steps=steps, step=step)


def of_weight(before: Adam, now: Adam) -> list[Reference]:
    """References for the weights of `now`."""
    rows = ((ROLE_PREVIOUS, before.w), (ROLE_MOMENTUM, now.m), (ROLE_MOMENTUM_BEFORE, before.m), (ROLE_VARIANCE, now.v))
    return references(rows)


def of_variance(before: Adam, now: Adam) -> list[Reference]:
    """References for the second moment of `now`."""
    return references(((ROLE_PREVIOUS, before.v), (ROLE_MOMENTUM, now.m), (ROLE_MOMENTUM_BEFORE, before.m)))


def of_average(before: Floats, weights: Floats, weights_before: Floats) -> list[Reference]:
    """References for a moving average of weights."""
    return references(((ROLE_PREVIOUS, before), (ROLE_WEIGHTS, weights), (ROLE_WEIGHTS_BEFORE, weights_before)))


def references(rows: Sequence[tuple[int, npt.NDArray[np.generic]]], dtype: str = "float32") -> list[Reference]:
    """Chunks in roles."""
    return [Reference(role, dtype, flat(data)) for role, data in rows]


def flat(data: npt.NDArray[np.generic]) -> memoryview:
    """Logical bytes."""
    return memoryview(np.ascontiguousarray(data).reshape(-1).view(np.uint8))


BEFORE, NEXT, LATER = adam(40, (30, 31, 40))
N = BEFORE.w.size


def hints_of(part: str, known: Update | None = None) -> Hints:
    """Of a chunk that begins its matrix."""
    return Hints(part, COLUMNS, 0, known)


def bits(encoded: Encoded) -> float:
    """An element of a chunk of N."""
    return 8 * len(encoded.payload) / N


def predictor_of(encoded: Encoded) -> Predictor:
    """Of a predicted chunk."""
    assert CODEC_NAMES[encoded.codec] == "predicted"
    return predict.parse_params(encoded.params)[0]


def plain_bits(now: Floats, before: Floats) -> float:
    """Of differences to what was before."""
    return bits(round_trip(flat(now), "float32", references([(ROLE_PREVIOUS, before)])))
