"""A sample of a chunk, and what it says of the bytes in it."""

from __future__ import annotations

from math import log, log2

import numpy as np

from ckstore._native import kernels
from ckstore.codec.entropy import Stats
from ckstore.codec.scratch import Bytes

_RUN = 64
_RUNS = 127
"""Odd distances between runs do not keep step with the rows of a matrix."""
_WHOLE = 4 * _RUN * _RUNS
"""Up to so many elements a sample is everything."""
_X_LOG_X = np.arange(_WHOLE + 1) * np.log2(np.maximum(np.arange(_WHOLE + 1), 1))


def take(data: Bytes, width: int) -> Bytes:
    """Runs of 64 elements of `width` bytes at even distances; all of a short chunk."""
    n = len(data) // width
    if n <= _WHOLE:
        return data
    stride = ((n - _RUN) // _RUNS | 1) * width
    rows = min(_RUNS, len(data) // stride)
    return np.ascontiguousarray(data[: rows * stride].reshape(rows, stride)[:, : _RUN * width]).reshape(-1)


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
