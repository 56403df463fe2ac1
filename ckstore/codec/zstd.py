"""Bytes ⇄ one zstd frame that declares its content size and takes no more memory than it must."""

from __future__ import annotations

import zstandard

from ckstore.codec import scratch
from ckstore.codec.scratch import Bytes
from ckstore.errors import FormatError

_MOST_WINDOW = 1 << 20
"""Any frame may want so much; a longer one as much as it holds."""


def compress(data: Bytes, level: int) -> Bytes:
    """`data` at one of zstd's levels."""
    return scratch.as_bytes(scratch.compressor(level).compress(data.data))


def decompress(stored: Bytes, n_bytes: int) -> Bytes:
    """The n_bytes of a frame. Raises FormatError if it holds anything else, or wants too much memory."""
    try:
        frame = zstandard.get_frame_parameters(stored.data)
        _require(frame.content_size == n_bytes and frame.dict_id == 0, "zstd stream of a wrong length")
        _require(frame.window_size <= max(n_bytes, _MOST_WINDOW), "zstd stream that wants too much memory")
        data = scratch.decompressor().decompress(stored.data, n_bytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError(f"zstd stream is damaged: {error}") from error
    _require(len(data) == n_bytes, "zstd stream shorter than it says")
    return scratch.as_bytes(data)


def _require(ok: bool, problem: str) -> None:
    if not ok:
        raise FormatError(problem)
