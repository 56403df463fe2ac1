"""Byte streams ⇄ the least bytes they are worth: constant, raw, Huffman, palette, zstd, or what is not the mode.

A stored stream is a tier and its stored bytes; how many bytes it decodes to is known from outside.

    TIER  NAME      STORED BYTES
    0     raw       the bytes
    1     constant  one byte: the value of all
    2     zstd      one zstd frame that declares its content size, without dictionary
    3     sparse    the most frequent byte, and a bitmap of the others (sparse.py)
    4     huffman   blocks of 2^15 bytes, the last one shorter (csrc/ck_kernels.h, FORMAT.md)
    5     palette   15 bytes and four bits for each byte; others apart (csrc/ck_kernels.h, FORMAT.md)
    6     gaps      the most frequent byte, and how many of it lie before each other byte (sparse.py)

A table of streams is one head (tier u8, stored length u32) for each. Integers are little-endian. An empty stream is
raw.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ckstore._native import kernels
from ckstore.codec import scratch, sparse, zstd
from ckstore.codec.levels import Level
from ckstore.codec.scratch import Bytes
from ckstore.errors import FormatError, UnsupportedError

RAW, CONSTANT, ZSTD, SPARSE, HUFFMAN, PALETTE, GAPS = range(7)
IN_ROOM = (HUFFMAN, PALETTE)  # tiers whose stored bytes lie where the room begins that encode() is given
HEAD_BYTES = 5
NOISE_BITS = 7.9
"""A stream whose bytes carry at least this many bits each is stored raw without a try."""
SPARSE_SHARE = 0.5
"""From this share of one byte on, where the others are is coded apart: no Huffman code goes under a bit a byte."""
_GAPS_SHARE = 0.75  # from here on by their distances: quicker and, unless they follow a pattern, less
_MIN_GAIN = 64
"""A coded stream must save one byte in this many."""
_GAPS_EFFORT, _PALETTE_EFFORT, _SPARSE_EFFORT, _HUFFMAN_EFFORT = range(-3, 1)  # besides zstd's levels
_EARN = 0.98
_NEARLY_ALL = 0.95
_PLAIN_BITS = 5.0
"""Numbers rather than words: where the fastest match finder gains nothing, no other will."""
_FAR = 1.05  # the same for the archive level: where it loses so much, as on exponents of weights (1.1 to 1.2)
_PALETTE_MOST = 4.5
"""With so many bits a byte too many are outside a palette."""

_HEAD = struct.Struct("<BI")
_MODE = struct.Struct("<BI")

Stream = tuple[int, Bytes]
"""Tier and stored bytes."""


class Stats(NamedTuple):
    """What a sample says of a stream. It steers effort only: any stream may be coded by any statistics."""

    bits: float
    """Order-0 entropy of a byte."""
    mode: int
    """The most frequent byte."""
    share: float
    """Share of that byte."""
    zeros: float = 1.0
    """Share of byte 0, at most."""


UNKNOWN, _PLAIN = Stats(0.0, 0, 0.0), Stats(6.0, 0, 0.0)


def encode(data: Bytes, stats: Stats, matches: bool, room: Bytes, level: Level = Level.BALANCED) -> Stream:
    """The cheapest way to store `data`. matches: repeated sequences are likely, as in text, ids and masks.

    room: at least kernels.huffman_bound(len(data)) bytes, which the stream may use until it is stored.
    """
    if len(data) == 0 or (stats.bits >= NOISE_BITS and not matches):
        return RAW, data
    if kernels.is_constant(data, 1):
        return CONSTANT, data[:1]
    if matches or level is Level.ARCHIVE:
        stream = _encode_at(data, _trial(data, stats, matches, level), stats, room, level)
    else:
        stream = _encode_plain(data, stats, room, level)
    return stream if len(stream[1]) < len(data) - len(data) // _MIN_GAIN else (RAW, data)


def _encode_plain(data: Bytes, stats: Stats, room: Bytes, level: Level) -> Stream:
    """By what the statistics say, without a trial."""
    if stats.share >= SPARSE_SHARE:
        return _encode_at(data, _GAPS_EFFORT if stats.share >= _GAPS_SHARE else _SPARSE_EFFORT, stats, room, level)
    effort = level.effort
    if effort.palette_least <= stats.bits < _PALETTE_MOST:
        stream = _encode_at(data, _PALETTE_EFFORT, stats, room, level)
        if 8 * len(stream[1]) <= (stats.bits + effort.palette_cost) * len(data):
            return stream
    return _encode_at(data, _HUFFMAN_EFFORT, stats, room, level)


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
        np.copyto(out, zstd.decompress(stored, len(out)))
    elif tier in (SPARSE, GAPS):
        (_decode_sparse if tier == SPARSE else _decode_gaps)(stored, out)
    elif tier == HUFFMAN:
        _require(kernels.huffman_decode(stored, out, _work()), "Huffman blocks are damaged")
    elif tier == PALETTE:
        _require(kernels.palette_decode(stored, out), "palette stream is damaged")
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


def _encode_at(data: Bytes, effort: int, stats: Stats, room: Bytes, level: Level) -> Stream:
    if effort == _SPARSE_EFFORT:
        return _encode_sparse(data, stats.mode, level)
    if effort == _GAPS_EFFORT:
        return _encode_gaps(data, stats.mode, level)
    if effort == _HUFFMAN_EFFORT:
        return HUFFMAN, room[: kernels.huffman_encode(data, room, _work(), level.effort.step)]
    if effort == _PALETTE_EFFORT:
        used = kernels.palette_encode(data, room[: len(data)])
        return (PALETTE, room[:used]) if used else (RAW, data)
    return ZSTD, zstd.compress(data, effort)


def _work() -> Bytes:
    return scratch.buffer("huffman", kernels.HUFFMAN_WORK)


def _trial(data: Bytes, stats: Stats, matches: bool, level: Level) -> int:
    """The effort that does best on the middle of `data`, or on all where nearly all of it is one byte."""
    n = level.effort.trial_bytes
    start = max(0, (len(data) - n) // 2)
    sample = data if stats.share >= _NEARLY_ALL else data[start : start + n]
    spare, earn = room("trial", len(sample)), 1.0 if level is Level.ARCHIVE else _EARN
    best, size = _HUFFMAN_EFFORT, len(_encode_at(sample, _HUFFMAN_EFFORT, stats, spare, level)[1]) * earn
    for effort in level.effort.zstd:
        tried = len(_encode_at(sample, effort, stats, spare, level)[1])
        if tried < size:
            best, size = effort, tried * earn
        elif tried > size * _FAR if level is Level.ARCHIVE else stats.bits > _PLAIN_BITS:
            break
    for effort in _others(stats, level):
        tried = len(_encode_at(sample, effort, stats, spare, level)[1])
        if tried < size:
            best, size = effort, tried
    return best


def _others(stats: Stats, level: Level) -> tuple[int, ...]:
    """What else may be worth a trial: it costs no more to decode than Huffman blocks."""
    if stats.share >= SPARSE_SHARE:
        return _GAPS_EFFORT, _SPARSE_EFFORT
    if level.effort.palette_least <= stats.bits < _PALETTE_MOST:
        return (_PALETTE_EFFORT,)
    return ()


def _encode_sparse(data: Bytes, mode: int, level: Level) -> Stream:
    bitmap, values = scratch.buffer("bitmap", (len(data) + 7) // 8), scratch.buffer("values", len(data))
    count = kernels.sparse_split(data, 1, mode, bitmap, values)
    where = encode(bitmap, UNKNOWN, True, room("bitmap", len(bitmap)), level)  # whole rows change or stay: long runs
    others = encode(values[:count], UNKNOWN, False, room("values", count), level)
    return SPARSE, _joined(mode, count, [where, others])


def _encode_gaps(data: Bytes, mode: int, level: Level) -> Stream:
    bits, symbols, values = sparse.gaps(data, mode)
    where = encode(symbols, _PLAIN, True, room("gaps", len(symbols)), level)
    others = encode(values, UNKNOWN, False, room("values", len(values)), level)
    return GAPS, _joined(mode, len(values), [(RAW, bits), where, others])


def _joined(mode: int, count: int, streams: list[Stream]) -> Bytes:
    head = scratch.as_bytes(_MODE.pack(mode, count) + heads(streams))
    return np.concatenate((head, *(stored for _, stored in streams)))


def _decode_sparse(stored: Bytes, out: Bytes) -> None:
    mode, count, (where, others) = _parted(stored, len(out), 2)
    bitmap, values = scratch.buffer("bitmap", (len(out) + 7) // 8), scratch.buffer("values", count)
    decode(*where, bitmap)
    decode(*others, values)
    _require(kernels.sparse_merge(bitmap, values, 1, mode, out), "bitmap does not fit its values")


def _decode_gaps(stored: Bytes, out: Bytes) -> None:
    mode, count, ((tier, bits), where, others) = _parted(stored, len(out), 3)
    if tier != RAW:
        raise UnsupportedError(f"bit stream in tier {tier}: written by a newer ckstore")
    symbols, values = scratch.buffer("gap symbols", count), scratch.buffer("values", count)
    decode(*where, symbols)
    decode(*others, values)
    _require(sparse.from_gaps(bits, symbols, values, mode, out), "gaps do not fit their values")


def _parted(stored: Bytes, n: int, n_streams: int) -> tuple[int, int, list[Stream]]:
    """Mode, count and streams of a sparse stream of n bytes."""
    _require(len(stored) >= _MODE.size, "sparse stream is cut short")
    mode, count = _MODE.unpack(stored[: _MODE.size].tobytes())
    _require(count <= n, "sparse stream with more values than bytes")
    streams = parse(stored[_MODE.size :], n_streams)
    _require(all(tier not in (SPARSE, GAPS) for tier, _ in streams), "sparse stream inside a sparse stream")
    return mode, count, streams


def _require(ok: bool, problem: str) -> None:
    if not ok:
        raise FormatError(problem)
