"""Buffers and zstd contexts of the calling thread, kept between chunks so that no chunk pays for making them."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt
import zstandard

Bytes = npt.NDArray[np.uint8]


class _Local(threading.local):
    """One thread's buffers by name, and its zstd contexts by level."""

    def __init__(self) -> None:
        self.buffers: dict[str, Bytes] = {}
        self.tables: dict[tuple[int, int], npt.NDArray[np.uint32]] = {}
        self.compressors: dict[int, zstandard.ZstdCompressor] = {}
        self.decompressor = zstandard.ZstdDecompressor()


_local = _Local()


def buffer(name: str, n_bytes: int) -> Bytes:
    """`n_bytes` of this thread's buffer `name`; what an earlier call gave under this name is overwritten."""
    held = _local.buffers.get(name)
    if held is None or len(held) < n_bytes:
        held = _local.buffers[name] = np.empty(n_bytes, np.uint8)
    return held[:n_bytes]


def table(rows: int, columns: int) -> npt.NDArray[np.uint32]:
    """This thread's table of this shape; the next call for this shape gives it again."""
    held = _local.tables.get((rows, columns))
    if held is None:
        held = _local.tables[rows, columns] = np.empty((rows, columns), np.uint32)
    return held


def compressor(level: int) -> zstandard.ZstdCompressor:
    """This thread's compressor of a zstd level."""
    held = _local.compressors.get(level)
    if held is None:
        held = _local.compressors[level] = zstandard.ZstdCompressor(level)
    return held


def decompressor() -> zstandard.ZstdDecompressor:
    """This thread's decompressor."""
    return _local.decompressor


def as_bytes(view: memoryview | bytes | bytearray | Bytes) -> Bytes:
    """The same memory as an array of bytes."""
    return np.frombuffer(view, np.uint8)
