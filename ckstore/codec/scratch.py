"""Buffers and zstd contexts of the calling thread, kept between chunks so that no chunk pays for making them."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

Bytes = npt.NDArray[np.uint8]

_FAST = zstandard.ZstdCompressionParameters(
    # Next to no match finder: zstd as a Huffman coder. The window also sets the block size, hence how often a table may
    # change: with 64 KiB, exponent planes of weights take 3 % less than with 128 KiB, those of Adam's v 7 % less.
    strategy=zstandard.STRATEGY_FAST, window_log=16, hash_log=6, chain_log=6, search_log=1,
    min_match=7, target_length=0, write_content_size=True, write_checksum=False, write_dict_id=False,
)  # fmt: skip


class _Local(threading.local):
    """One thread's buffers by name, and its zstd contexts by effort."""

    def __init__(self) -> None:
        self.buffers: dict[str, Bytes] = {}
        self.compressors: dict[int, zstandard.ZstdCompressor] = {}
        self.decompressor = zstandard.ZstdDecompressor()


_local = _Local()


def buffer(name: str, n_bytes: int) -> Bytes:
    """`n_bytes` of this thread's buffer `name`; what an earlier call gave under this name is overwritten."""
    held = _local.buffers.get(name)
    if held is None or len(held) < n_bytes:
        held = _local.buffers[name] = np.empty(n_bytes, np.uint8)
    return held[:n_bytes]


def compressor(level: int) -> zstandard.ZstdCompressor:
    """This thread's compressor; level 0 is the entropy stage, the others are zstd's levels."""
    held = _local.compressors.get(level)
    if held is None:
        settings: dict[str, Any] = {"compression_params": _FAST} if level == 0 else {"level": level}
        held = _local.compressors[level] = zstandard.ZstdCompressor(**settings)
    return held


def decompressor() -> zstandard.ZstdDecompressor:
    """This thread's decompressor."""
    return _local.decompressor


def as_bytes(view: memoryview | bytes | Bytes) -> Bytes:
    """The same memory as an array of bytes."""
    return np.frombuffer(view, np.uint8)
