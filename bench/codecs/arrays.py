"""Compressors of arrays: blosc2, bitshuffle and pcodec."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from bench.codecs.base import Codec, typed
from bench.peers.base import installed


class Blosc(Codec):
    """blosc2: byte shuffle and zstd level 1 (planes+zstd-1 in C)."""

    name = "blosc2 shuffle+zstd-1"

    @classmethod
    def missing(cls) -> str:
        return installed("blosc2")

    def encode(self, raw: np.ndarray, dtype: str, item_bytes: int) -> bytes:
        import blosc2

        how = {"codec": blosc2.Codec.ZSTD, "filters": [blosc2.Filter.SHUFFLE], "clevel": 1, "nthreads": 1}
        return blosc2.compress2(typed(raw, item_bytes), typesize=item_bytes, **how)

    def decode(self, payload: bytes, n_bytes: int, dtype: str, item_bytes: int) -> Any:
        import blosc2

        return blosc2.decompress2(payload, nthreads=1)


class Bitshuffle(Codec):
    """bitshuffle and LZ4."""

    name, method = "bitshuffle+lz4", "lz4"

    @classmethod
    def missing(cls) -> str:
        return installed("bitshuffle")

    def encode(self, raw: np.ndarray, dtype: str, item_bytes: int) -> Any:
        import bitshuffle

        return getattr(bitshuffle, f"compress_{self.method}")(typed(raw, item_bytes))

    def decode(self, payload: Any, n_bytes: int, dtype: str, item_bytes: int) -> Any:
        import bitshuffle

        shape = (n_bytes // item_bytes,)
        return getattr(bitshuffle, f"decompress_{self.method}")(payload, shape, np.dtype(f"u{item_bytes}")).view(
            np.uint8
        )


class BitshuffleZstd(Bitshuffle):
    """bitshuffle and zstd level 1."""

    name, method = "bitshuffle+zstd-1", "zstd"

    def encode(self, raw: np.ndarray, dtype: str, item_bytes: int) -> Any:
        import bitshuffle

        return bitshuffle.compress_zstd(typed(raw, item_bytes), comp_lvl=1)


class Pcodec(Codec):
    """pcodec, on the type it knows (bfloat16 as uint16)."""

    name = "pcodec"
    types: ClassVar[dict[str, str]] = {"float32": "f4", "float16": "f2", "bfloat16": "u2", "int64": "i8"}

    @classmethod
    def missing(cls) -> str:
        return installed("pcodec")

    def takes(self, dtype: str) -> bool:
        return dtype in self.types

    def encode(self, raw: np.ndarray, dtype: str, item_bytes: int) -> bytes:
        from pcodec import ChunkConfig, standalone

        return standalone.simple_compress(raw.view(self.types[dtype]), ChunkConfig())

    def decode(self, payload: bytes, n_bytes: int, dtype: str, item_bytes: int) -> np.ndarray:
        from pcodec import standalone

        return standalone.simple_decompress(payload).view(np.uint8)
