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
_SCALE = 4096
_X_LOG_X = np.rint(_SCALE * np.arange(_WHOLE + 1) * np.log2(np.maximum(np.arange(_WHOLE + 1), 1))).astype(np.uint32)


def take(data: Bytes, width: int, runs: int = RUNS) -> Bytes:
    """So many runs of 64 elements of `width` bytes at even distances; all of a short chunk."""
    n = len(data) // width
    if n <= 4 * _RUN * runs:
        return data
    stride = ((n - _RUN) // runs | 1) * width
    rows = min(runs, len(data) // stride)
    return np.ascontiguousarray(data[: rows * stride].reshape(rows, stride)[:, : _RUN * width]).reshape(-1)


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


def _weights(n: int) -> npt.NDArray[np.uint32]:
    """c log2(c), in parts of 1 / _SCALE, for c up to n at least. The weights of n bytes add up to less than 2^32."""
    if n > _WHOLE:
        raise ValueError("a sample is shorter than that")
    return _X_LOG_X
