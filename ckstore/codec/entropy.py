"""Byte streams ⇄ the least bytes they are worth: constant, raw, Huffman, zstd, or sparse.

A stored stream is a tier and its stored bytes; how many bytes it decodes to is known from outside.

    TIER  NAME      STORED BYTES
    0     raw       the bytes
    1     constant  one byte: the value of all
    2     zstd      one zstd frame that declares its content size, without dictionary
    3     sparse    the most frequent byte (u8), the count of all others (u32), two stream heads (tier u8, stored length
                    u32), then the two streams: a bitmap (bit i, lowest first, is set where byte i is another one), and
                    the other bytes in order. Neither is sparse again.
    4     huffman   blocks of 2^15 bytes, the last one shorter (csrc/ck_kernels.h, FORMAT.md)

A table of streams is one head (tier u8, stored length u32) for each. Integers are little-endian. An empty stream is
raw.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import zstandard

from ckstore._native import kernels
from ckstore.codec import scratch
from ckstore.codec.scratch import Bytes
from ckstore.errors import FormatError, UnsupportedError

RAW, CONSTANT, ZSTD, SPARSE, HUFFMAN = 0, 1, 2, 3, 4
HEAD_BYTES = 5
NOISE_BITS = 7.9
"""A stream whose bytes carry at least this many bits each is stored raw without a try."""
SPARSE_SHARE = 0.5
"""From this share of one byte on, where the others are is coded apart: no Huffman code goes under a bit a byte."""
_MIN_GAIN = 64
"""A coded stream must save one byte in this many."""
_SPARSE_EFFORT, _HUFFMAN_EFFORT = -1, 0
"""Besides zstd's levels."""
_TRIAL_BYTES = 1 << 16
_EARN = 0.98
_NEARLY_ALL = 0.95
_PLAIN_BITS = 5.0
"""Numbers rather than words: where the fastest match finder gains nothing, no other will."""

_HEAD = struct.Struct("<BI")
_SPARSE_HEAD = struct.Struct("<BIBIBI")

Stream = tuple[int, Bytes]
"""Tier and stored bytes."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What a sample says of a stream. It steers effort only: any stream may be coded by any statistics."""

    bits: float
    """Order-0 entropy of a byte."""
    mode: int
    """The most frequent byte."""
    share: float
    """Share of that byte."""


UNKNOWN = Stats(0.0, 0, 0.0)


def encode(data: Bytes, stats: Stats, matches: bool, room: Bytes) -> Stream:
    """The cheapest way to store `data`. matches: repeated sequences are likely, as in text, ids and masks.

    room: at least kernels.huffman_bound(len(data)) bytes, which the stream may use until it is stored.
    """
    if len(data) == 0 or (stats.bits >= NOISE_BITS and not matches):
        return RAW, data
    if kernels.is_constant(data, 1):
        return CONSTANT, data[:1]
    effort = _trial(data, stats) if matches else _SPARSE_EFFORT if stats.share >= SPARSE_SHARE else _HUFFMAN_EFFORT
    stream = _encode_at(data, effort, stats.mode, room)
    return stream if len(stream[1]) < len(data) - len(data) // _MIN_GAIN else (RAW, data)


def room(name: str, n_bytes: int) -> Bytes:
    """A buffer of this thread in which encode() may put the stream of n_bytes."""
    return scratch.buffer(f"coded {name}", kernels.huffman_bound(n_bytes))


def decode(tier: int, stored: Bytes, out: Bytes) -> None:
    """Fill `out` from a stored stream. Raises FormatError if it holds anything else than len(out) bytes."""
    if tier == RAW:
        _require(len(stored) == len(out), "raw stream of a wrong length")
        np.copyto(out, stored)
    elif tier == CONSTANT:
        _require(len(stored) == 1, "constant stream that is not one byte")
        out.fill(stored[0])
    elif tier == ZSTD:
        np.copyto(out, _decompress(stored, len(out)))
    elif tier == SPARSE:
        _decode_sparse(stored, out)
    elif tier == HUFFMAN:
        _require(kernels.huffman_decode(stored, out, _work()), "Huffman blocks are damaged")
    else:
        raise UnsupportedError(f"unknown entropy tier {tier}: written by a newer ckstore", tier=tier)


def decoded(stream: Stream, n_bytes: int, buffer: Bytes) -> Bytes:
    """The n_bytes of a stream: as they are stored, if they are raw, else decoded into `buffer`. Raises as decode()."""
    tier, stored = stream
    if tier == RAW and len(stored) == n_bytes:
        return stored
    decode(tier, stored, buffer)
    return buffer


def heads(streams: Sequence[Stream]) -> bytes:
    """The table of these streams."""
    return b"".join(_HEAD.pack(tier, len(stored)) for tier, stored in streams)


def parse(data: Bytes, n_streams: int) -> list[Stream]:
    """The streams of a table and what follows it. Raises FormatError unless they fill `data` exactly."""
    at = n_streams * HEAD_BYTES
    _require(len(data) >= at, "table of streams is cut short")
    streams = []
    for tier, size in _HEAD.iter_unpack(data[:at].tobytes()):
        _require(size <= len(data) - at, "stream longer than the payload")
        streams.append((tier, data[at : at + size]))
        at += size
    _require(at == len(data), "payload longer than its streams")
    return streams


def _encode_at(data: Bytes, effort: int, mode: int, room: Bytes) -> Stream:
    if effort == _SPARSE_EFFORT:
        return _encode_sparse(data, mode)
    if effort == _HUFFMAN_EFFORT:
        return HUFFMAN, room[: kernels.huffman_encode(data, room, _work())]
    return ZSTD, scratch.as_bytes(scratch.compressor(effort).compress(data.data))


def _work() -> Bytes:
    return scratch.buffer("huffman", kernels.HUFFMAN_WORK)


def _trial(data: Bytes, stats: Stats) -> int:
    """The effort that does best on the middle of `data`; the slower ones must earn their time.

    Where nearly all bytes are one, the middle says nothing of the few others, and all of it is coded in no time.
    """
    start = max(0, (len(data) - _TRIAL_BYTES) // 2)
    sample = data if stats.share >= _NEARLY_ALL else data[start : start + _TRIAL_BYTES]
    spare = room("trial", len(sample))
    best, size = _HUFFMAN_EFFORT, len(_encode_at(sample, _HUFFMAN_EFFORT, 0, spare)[1]) * _EARN
    for effort in (1, 3):
        tried = len(_encode_at(sample, effort, 0, spare)[1])
        if tried < size:
            best, size = effort, tried * _EARN
        elif stats.bits > _PLAIN_BITS:
            break
    if stats.share >= SPARSE_SHARE and len(_encode_sparse(sample, stats.mode)[1]) < size:
        return _SPARSE_EFFORT
    return best


def _encode_sparse(data: Bytes, mode: int) -> Stream:
    bitmap, values = scratch.buffer("bitmap", (len(data) + 7) // 8), scratch.buffer("values", len(data))
    count = kernels.sparse_split(data, 1, mode, bitmap, values)
    tier0, stored0 = encode(bitmap, UNKNOWN, True, room("bitmap", len(bitmap)))  # whole rows change or stay: long runs
    tier1, stored1 = encode(values[:count], UNKNOWN, False, room("values", count))
    head = _SPARSE_HEAD.pack(mode, count, tier0, len(stored0), tier1, len(stored1))
    return SPARSE, np.concatenate((scratch.as_bytes(head), stored0, stored1))


def _decode_sparse(stored: Bytes, out: Bytes) -> None:
    _require(len(stored) >= _SPARSE_HEAD.size, "sparse stream is cut short")
    mode, count = stored[0], int.from_bytes(stored[1:5].tobytes(), "little")
    _require(count <= len(out), "sparse stream with more values than bytes")
    (tier0, stored0), (tier1, stored1) = parse(stored[5:], 2)
    _require(tier0 != SPARSE and tier1 != SPARSE, "sparse stream inside a sparse stream")
    bitmap, values = scratch.buffer("bitmap", (len(out) + 7) // 8), scratch.buffer("values", count)
    decode(tier0, stored0, bitmap)
    decode(tier1, stored1, values)
    _require(kernels.sparse_merge(bitmap, values, 1, mode, out), "bitmap does not fit its values")


def _decompress(stored: Bytes, n_bytes: int) -> Bytes:
    try:
        frame = zstandard.get_frame_parameters(stored.data)
        _require(frame.content_size == n_bytes and frame.dict_id == 0, "zstd stream of a wrong length")
        _require(frame.window_size <= max(n_bytes, 1 << 20), "zstd stream that wants too much memory")
        data = scratch.decompressor().decompress(stored.data, n_bytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError(f"zstd stream is damaged: {error}") from error
    _require(len(data) == n_bytes, "zstd stream shorter than it says")
    return scratch.as_bytes(data)


def _require(ok: bool, problem: str) -> None:
    if not ok:
        raise FormatError(problem)
