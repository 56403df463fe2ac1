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
_RUNS = 127
"""Odd distances between runs do not keep step with the rows of a matrix."""
_WHOLE = 4 * _RUN * _RUNS
"""Up to so many elements a sample is everything."""
_X_LOG_X = np.arange(_WHOLE + 1) * np.log2(np.maximum(np.arange(_WHOLE + 1), 1))

_WHOLE_X_LOG_X = np.rint(256 * _X_LOG_X).astype(np.uint32)


def take(data: Bytes, width: int) -> Bytes:
    """Runs of 64 elements of `width` bytes at even distances; all of a short chunk."""
    n = len(data) // width
    if n <= _WHOLE:
        return data
    stride, rows = _runs(n)
    runs = data[: rows * stride * width].reshape(rows, stride * width)[:, : _RUN * width]
    return np.ascontiguousarray(runs).reshape(-1)


def positions(n: int) -> npt.NDArray[np.int64]:
    """Which of n elements a sample holds, in order."""
    if n <= _WHOLE:
        return np.arange(n)
    stride, rows = _runs(n)
    return (np.arange(rows)[:, None] * stride + np.arange(_RUN)).reshape(-1)


def _runs(n: int) -> tuple[int, int]:
    """Distance from run to run, in elements, and their number."""
    stride = (n - _RUN) // _RUNS | 1
    return stride, min(_RUNS, n // stride)


def profile(data: Bytes, parts: int) -> tuple[Stats, ...]:
    """Statistics of each of `parts` equal stretches of a sample."""
    counts = np.empty((parts, 256), np.uint32)
    kernels.histogram(data, parts, counts)
    n = max(len(data) // parts, 1)
    weighted = np.add.reduce(_X_LOG_X.take(counts), 1).tolist()
    distinct = np.add.reduce(counts > 0, 1).tolist()
    modes = counts.argmax(1).tolist()
    # A sample shows less entropy than there is, by about (distinct - 1) / 2n nats (Miller and Madow).
    missing = 1 / (2 * log(2) * n)
    return tuple(
        Stats(log2(n) - weighted[p] / n + max(distinct[p] - 1, 0) * missing, modes[p], int(counts[p, modes[p]]) / n)
        for p in range(parts)
    )


def origin(sample: Bytes, base: Bytes, width: int, mantissa: int) -> tuple[int, float]:
    """The origin with which recentred differences of a sample cost least, and the bits an element they cost then."""
    work = scratch.buffer("origin", kernels.ORIGIN_WORK)
    return kernels.delta_origin(sample, base, width, mantissa, _WHOLE_X_LOG_X, work)
