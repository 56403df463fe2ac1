"""ZipNN, of the values and of their XOR with the checkpoint before."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import zstandard

from bench.peers.base import installed
from bench.peers.container import TensorPeer

FLOATS = ("float32", "bfloat16", "float16")
_RAW, _ZIPNN, _ZSTD = b"r", b"z", b"s"


@cache
def coder(dtype: str) -> Any:
    """A ZipNN for one dtype, on one thread: its threads do not share work on tensors of this size."""
    from zipnn import ZipNN

    return ZipNN(input_format="byte", bytearray_dtype=dtype, threads=1)


def encode(raw: np.ndarray, dtype: str) -> bytes:
    """The shortest of ZipNN (zstd level 3 for what is no float) and the bytes as they are."""
    if dtype in FLOATS:
        best = _ZIPNN + bytes(coder(dtype).compress(bytearray(raw)))  # a copy: ZipNN overwrites its input
    else:
        best = _ZSTD + zstandard.ZstdCompressor(level=3).compress(raw)
    return best if len(best) <= len(raw) else _RAW + raw.tobytes()


def decode(payload: memoryview, n_bytes: int, dtype: str) -> np.ndarray:
    """Inverse of encode(): writable bytes."""
    kind, body = bytes(payload[:1]), bytes(payload[1:])
    if kind == _ZIPNN:
        body = coder(dtype).decompress(body)
    elif kind == _ZSTD:
        body = zstandard.ZstdDecompressor().decompress(body, max_output_size=n_bytes)
    return np.frombuffer(bytearray(body), np.uint8)


class Zipnn(TensorPeer):
    """ZipNN, tensor by tensor."""

    name = "ZipNN"

    @classmethod
    def missing(cls) -> str:
        return installed("zipnn")

    def encode(self, raw: np.ndarray, dtype: str, item_bytes: int, base: np.ndarray | None) -> bytes:
        return encode(raw if base is None else raw ^ base, dtype)

    def decode(
        self, payload: memoryview, n_bytes: int, dtype: str, item_bytes: int, base: np.ndarray | None
    ) -> np.ndarray:
        out = decode(payload, n_bytes, dtype)
        return out if base is None else np.bitwise_xor(out, base, out=out)


class XorZipnn(Zipnn):
    """ZipNN of the XOR with the same tensor of the checkpoint before."""

    name = "ZipNN of XOR"
    chained = True
