"""Whatever the engine says of a chunk, true or not: it is encoded without complaint and comes back bit for bit."""

from __future__ import annotations

import random

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from ckstore.codec.chunk import Reference
from ckstore.codec.hints import AVERAGE, MOMENTUM, VARIANCE, WEIGHT, Hints, Update
from ckstore.codec.levels import Level
from ckstore.format.frame import ROLE_MOMENTUM, ROLE_PREVIOUS, ROLE_VARIANCE, ROLE_WEIGHTS_BEFORE
from codec_material import round_trip

DTYPES = {
    "float32": np.dtype("f4"), "bfloat16": np.dtype(ml_dtypes.bfloat16), "float16": np.dtype("f2"),
    "float64": np.dtype("f8"),
}  # fmt: skip
ODD = [
    0.0,
    -0.0,
    1.0,
    0.9,
    0.999,
    1e-3,
    1e300,
    -1e300,
    float("inf"),
    float("nan"),
    5e-324,
    -1.0,
    1 - 1e-16,
    2.0,
    3.5e38,
]
STEPS = [None, -5, 0, 1, 1, 1, 2, 10**18]


class Guesses:
    """Chunks and what is said of them, from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def numbers(self, n: int) -> npt.NDArray[np.float64]:
        found = np.random.default_rng(self.rng.randrange(1 << 30)).normal(size=n)
        found *= self.rng.choice([1, 1, 1e-3, 1e-40, 1e38])
        kind = self.rng.randrange(6)
        if kind == 0:
            found[::3] = np.nan
        elif kind == 1:
            found[1:] = 0
        elif kind == 2:
            found = np.frombuffer(self.rng.randbytes(4 * n), "f4").astype("f8")
        return found

    def few(self) -> tuple[float, ...]:
        return tuple(self.rng.choice(ODD) for _ in range(self.rng.randrange(3)))

    def update(self) -> Update | None:
        if self.rng.random() < 0.2:
            return None
        dampening, steps, step = self.rng.choice(ODD), self.rng.choice(STEPS), self.rng.choice(STEPS)
        lists = (self.few() for _ in range(5))
        return Update(*lists, self.rng.random() < 0.5, self.rng.random() < 0.5, dampening, steps, step)


@pytest.mark.parametrize("seed", range(60))
def test_any_hints(seed: int) -> None:
    guesses = Guesses(seed)
    rng = guesses.rng
    for _ in range(8):
        n, name = rng.choice([1, 7, 64, 200, 3000]), rng.choice(["float32", "float32", *DTYPES])
        with np.errstate(all="ignore"):
            before = guesses.numbers(n)
            now = (before + guesses.numbers(n) * 10.0 ** -rng.randrange(12)).astype(DTYPES[name])
            references = [Reference(ROLE_PREVIOUS, name, memoryview(before.astype(DTYPES[name]).tobytes()))]
            for role in range(ROLE_MOMENTUM, ROLE_WEIGHTS_BEFORE + 1):
                other = rng.choice(list(DTYPES))
                values = guesses.numbers(n).astype(DTYPES[other])
                values = np.abs(values) if role == ROLE_VARIANCE else values
                references.append(Reference(role, other, memoryview(values.tobytes())))
        rng.shuffle(references)
        part = rng.choice(["", WEIGHT, MOMENTUM, VARIANCE, AVERAGE])
        hints = Hints(part, rng.choice([0, 1, 3, 7, 64, 10**5]), rng.choice([0, 5, 1000]), guesses.update())
        offered = references[: rng.randrange(len(references) + 1)]
        round_trip(memoryview(now.tobytes()), name, offered, hints, level=rng.choice(list(Level)))
