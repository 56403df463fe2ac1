"""zstd as it is, and behind a split into byte planes."""

from __future__ import annotations

import numpy as np
import zstandard

from bench.codecs.base import Codec
from bench.peers import planes


class Zstd1(Codec):
    """zstd level 1."""

    name, level = "zstd-1", 1

    def __init__(self) -> None:
        self._encoder, self._decoder = zstandard.ZstdCompressor(level=self.level), zstandard.ZstdDecompressor()

    def encode(self, raw: np.ndarray, dtype: str, item_bytes: int) -> bytes:
        return self._encoder.compress(raw)

    def decode(self, payload: bytes, n_bytes: int, dtype: str, item_bytes: int) -> bytes:
        return self._decoder.decompress(payload)


class Zstd3(Zstd1):
    """zstd level 3."""

    name, level = "zstd-3", 3


class Planes(Codec):
    """Byte planes by NumPy, zstd level 1; with a base this is XOR+planes+zstd-1."""

    name = "planes+zstd-1"

    def encode(self, raw: np.ndarray, dtype: str, item_bytes: int) -> bytes:
        return planes.split(raw, item_bytes)

    def decode(self, payload: bytes, n_bytes: int, dtype: str, item_bytes: int) -> np.ndarray:
        return planes.merge(memoryview(payload), n_bytes, item_bytes)
