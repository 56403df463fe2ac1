"""Inputs for kernel tests: awkward sizes, awkward addresses, awkward values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

WIDTHS = (1, 2, 4, 8)
SIZES = (*range(258), *(2**k + d for k in range(9, 13) for d in (-1, 0, 1)))
"""Numbers of elements."""
OFFSETS = range(64)
"""Bytes from an aligned address."""

_FLOAT_BITS = {1: (4, 3), 2: (8, 7), 4: (8, 23), 8: (11, 52)}
"""Exponent and mantissa bits that give each width its special values."""


def special_values(width: int) -> list[int]:
    """Zeros, ones, extremes, infinities, NaNs with payloads, subnormals and their neighbours, of both signs."""
    exponent, mantissa = _FLOAT_BITS[width]
    infinity = ((1 << exponent) - 1) << mantissa
    middle = ((1 << (exponent - 1)) - 1) << mantissa
    quiet = infinity | 1 << (mantissa - 1)
    magnitudes = {0, 1, 2, (1 << mantissa) - 1, 1 << mantissa, middle - 1, middle, middle + 1, infinity - 1, infinity}
    magnitudes |= {infinity + 1, quiet, quiet | 1, (1 << (8 * width - 1)) - 1}
    magnitudes |= {1 << bit for bit in range(8 * width - 1)} | {(1 << bit) - 1 for bit in range(1, 8 * width)}
    return sorted(magnitudes) + sorted(m | 1 << (8 * width - 1) for m in magnitudes)


def elements(width: int, n: int, seed: int = 0) -> Bytes:
    """n elements as bytes: random ones with special values and close neighbours of either among them."""
    rng = np.random.default_rng([width, n, seed])
    values = rng.integers(0, 1 << (8 * width), n, np.uint64, endpoint=False) if width < 8 else _any64(rng, n)
    special = np.array(special_values(width), np.uint64)
    values = np.where(rng.random(n) < 0.5, rng.choice(special, n), values)
    return np.ascontiguousarray(values.astype(f"<u{width}")).view(np.uint8)


def _any64(rng: np.random.Generator, n: int) -> npt.NDArray[np.uint64]:
    return rng.integers(0, np.iinfo(np.uint64).max, n, np.uint64, endpoint=True)


def near(data: Bytes, width: int, seed: int = 0) -> Bytes:
    """`data` with differences of every size, many of them zero: a plausible base."""
    rng = np.random.default_rng([width, len(data), seed, 1])
    n = len(data) // width
    step = _any64(rng, n) >> rng.integers(0, 64, n, np.uint64)
    step[rng.random(n) < 0.3] = 0
    values = data.view(f"<u{width}").astype(np.uint64) + np.where(rng.random(n) < 0.5, step, -step)
    return np.ascontiguousarray(values.astype(f"<u{width}")).view(np.uint8)


def at_offset(data: Bytes, offset: int) -> Bytes:
    """A copy of `data` that lies `offset` bytes after an aligned address."""
    room = np.empty(len(data) + 128, np.uint8)
    start = -room.ctypes.data % 64 + offset
    room[start : start + len(data)] = data
    return room[start : start + len(data)]


def integers(data: Bytes, width: int) -> list[int]:
    """The elements as unsigned Python integers."""
    return [int(x) for x in data.view(f"<u{width}")]
