"""A sample of a chunk, and what it says of the bytes in it."""

from __future__ import annotations

from math import log, log2

import numpy as np
import numpy.typing as npt

from ckstore._native import kernels
from ckstore.codec import scratch
from ckstore.codec.entropy import Stats
from ckstore.codec.scratch import Bytes

_RUN = 64
RUNS = 127
"""Odd distances between runs do not keep step with the rows of a matrix."""
_WHOLE = 4 * _RUN * RUNS
"""Up to so many elements a sample is everything."""
_SCALE, _ORIGIN_SCALE = 4096, 256
_X_LOG_X = np.arange(_WHOLE + 1) * np.log2(np.maximum(np.arange(_WHOLE + 1), 1))
_PROFILE_WEIGHTS = np.rint(_SCALE * _X_LOG_X).astype(np.uint32)
_ORIGIN_WEIGHTS = np.rint(_ORIGIN_SCALE * _X_LOG_X).astype(np.uint32)


def take(data: Bytes, width: int, runs: int = RUNS) -> Bytes:
    """So many runs of 64 elements of `width` bytes at even distances; all of a short chunk."""
    n = len(data) // width
    if n <= 4 * _RUN * runs:
        return data
    stride, rows = _runs(n, runs)
    found = data[: rows * stride * width].reshape(rows, stride * width)[:, : _RUN * width]
    return np.ascontiguousarray(found).reshape(-1)


def _runs(n: int, most: int) -> tuple[int, int]:
    """Distance from run to run, in elements, and their number."""
    stride = (n - _RUN) // most | 1
    return stride, min(most, n // stride)


def profile(data: Bytes, parts: int) -> tuple[Stats, ...]:
    """Statistics of each of `parts` equal stretches of a sample."""
    found, n = scratch.table(parts, kernels.PROFILE), max(len(data) // parts, 1)
    kernels.profile(data, parts, _weights(n), found)
    # A sample shows less entropy than there is, by about (distinct - 1) / 2n nats (Miller and Madow).
    missing, bits = 1 / (2 * log(2) * n), log2(n)
    return tuple(
        Stats(bits - weight / (_SCALE * n) + max(distinct - 1, 0) * missing, mode, count / n, zeros / n)
        for weight, distinct, mode, count, zeros in found.tolist()
    )


def origin(sample: Bytes, base: Bytes, width: int, mantissa: int) -> tuple[int, float]:
    """The origin with which recentred differences of a sample cost least, and the bits an element they cost then."""
    work = scratch.buffer("origin", kernels.ORIGIN_WORK)
    return kernels.delta_origin(sample, base, width, mantissa, _ORIGIN_WEIGHTS, work)


def _weights(n: int) -> npt.NDArray[np.uint32]:
    """c log2(c), in parts of 1 / _SCALE, for c up to n at least. The weights of n bytes add up to less than 2^32."""
    if n > _WHOLE:
        raise ValueError("a sample is shorter than that")
    return _PROFILE_WEIGHTS
