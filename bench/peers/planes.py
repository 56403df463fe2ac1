"""Byte planes through zstd level 1, of the values and of their XOR with the checkpoint before."""

from __future__ import annotations

import struct

import numpy as np
import zstandard

from bench.peers.container import TensorPeer

_ENCODER, _DECODER = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()


def split(raw: np.ndarray, item_bytes: int) -> bytes:
    """Each byte plane compressed for itself, behind the four-byte lengths of all."""
    columns = raw.reshape(-1, item_bytes)
    parts = [_ENCODER.compress(np.ascontiguousarray(columns[:, k])) for k in range(columns.shape[1])]
    return struct.pack(f"<{len(parts)}I", *map(len, parts)) + b"".join(parts)


def merge(payload: memoryview, n_bytes: int, item_bytes: int) -> np.ndarray:
    """Inverse of split()."""
    out = np.empty(n_bytes, np.uint8)
    if n_bytes == 0:  # zstd writes no size for nothing
        return out
    lengths, offset = struct.unpack_from(f"<{item_bytes}I", payload), 4 * item_bytes
    for k, length in enumerate(lengths):
        plane = _DECODER.decompress(payload[offset : offset + length], max_output_size=n_bytes // item_bytes)
        out[k::item_bytes] = np.frombuffer(plane, np.uint8)
        offset += length
    return out


class Planes(TensorPeer):
    """Byte planes, zstd level 1."""

    name = "planes+zstd-1"

    def encode(self, raw: np.ndarray, dtype: str, item_bytes: int, base: np.ndarray | None) -> bytes:
        return split(raw if base is None else raw ^ base, item_bytes)

    def decode(
        self, payload: memoryview, n_bytes: int, dtype: str, item_bytes: int, base: np.ndarray | None
    ) -> np.ndarray:
        out = merge(payload, n_bytes, item_bytes)
        return out if base is None else np.bitwise_xor(out, base, out=out)


class XorPlanes(Planes):
    """XOR with the same tensor of the checkpoint before, then byte planes, zstd level 1."""

    name = "XOR+planes+zstd-1"
    chained = True
