"""Chunks like those of real training, small and seeded."""

from __future__ import annotations

from collections.abc import Sequence

import ml_dtypes
import numpy as np
import numpy.typing as npt

from ckstore.codec.chunk import Encoded, Reference, decode_into, encode
from ckstore.codec.hints import NO_HINTS, Hints
from ckstore.codec.levels import Level
from ckstore.format.frame import ROLE_PREVIOUS

N = 1 << 15


def weights(n: int = N, seed: int = 0) -> npt.NDArray[np.float32]:
    """Weights of one layer, rows of somewhat different scale."""
    rng = np.random.default_rng([n, seed])
    scale = np.repeat(rng.uniform(0.02, 0.08, n // 64 + 1), 64)[:n]
    return (rng.standard_normal(n) * scale).astype(np.float32)


def stepped(w: npt.NDArray[np.float32], size: float = 1e-4, seed: int = 0) -> npt.NDArray[np.float32]:
    """Weights a few optimiser steps later."""
    return w + np.random.default_rng([len(w), seed, 1]).standard_normal(len(w)).astype(np.float32) * np.float32(size)


def as_bfloat16(w: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """The bits of the roundings."""
    return w.astype(ml_dtypes.bfloat16).view(np.uint16)


def view(data: bytes | npt.NDArray[np.generic]) -> memoryview:
    """Logical bytes."""
    return memoryview(data if isinstance(data, bytes) else np.ascontiguousarray(data).view(np.uint8))


def previous(dtype: str, data: bytes | npt.NDArray[np.generic]) -> Reference:
    """The same chunk of an earlier checkpoint."""
    return Reference(ROLE_PREVIOUS, dtype, view(data))


def decoded(encoded: Encoded, references: Sequence[Reference], n_bytes: int) -> bytes:
    """What comes back."""
    out = bytearray(n_bytes)
    bases = [references[i].data for i in encoded.used]
    decode_into(encoded.codec, encoded.params, memoryview(encoded.payload), bases, memoryview(out))
    return bytes(out)


def round_trip(
    data: memoryview, dtype: str, references: Sequence[Reference] = (), hints: Hints = NO_HINTS, *,
    level: Level = Level.BALANCED,
) -> Encoded:  # fmt: skip
    """Encode, check that it comes back and is not larger, give the encoded chunk."""
    encoded = encode(data, dtype, references, hints, level=level)
    assert len(encoded.payload) <= len(data)
    assert decoded(encoded, references, len(data)) == bytes(data)
    return encoded
