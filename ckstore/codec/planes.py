"""Elements ⇄ byte planes, each its own stream; elements of a few frequent values may be left out first.

    PARAMETERS  layout (u8, 0), element width (u8: 1, 2, 4, 8), flags (u8: 1 = elements rotated left by one bit, 2 =
                factors), number of holes H (u8, at most 2), H hole values of one element each; with factors: columns
                (u32), column of the first element (u32)
    PAYLOAD     H x u32: how many elements are left after each hole; a table of all streams; the streams
    STREAMS     for each hole, the bitmap of the elements left before it: bit i (lowest first) set = not this hole;
                with factors: those of the rows, those of the columns (i8 each);
                then, of the elements left at the end, byte plane 0 (lowest byte) to width - 1

With a base (codec delta_xor) the planes are of the bitwise xor of chunk and base, and H is 0 and there are no factors.
Factors (ckstore.codec.factors) go with rotated elements and without holes; plane width - 1 is less them. They are read
for ever and no longer written: a scale (ckstore.codec.scale) does more for the same chunks.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ckstore._native import kernels
from ckstore.codec import entropy, factors, scratch
from ckstore.codec.entropy import Stats
from ckstore.codec.factors import Factors, Grid
from ckstore.codec.kinds import WIDTHS
from ckstore.codec.levels import Level
from ckstore.codec.scratch import Bytes
from ckstore.errors import FormatError, UnsupportedError

MAX_HOLES = 2
_LAYOUT = 0
_ROTATED, _FACTORS = 1, 2
_PARAMS = struct.Struct("<BBBB")
_GRID = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class Shape:
    """How elements become planes."""

    width: int
    rotate: bool
    holes: tuple[int, ...] = ()
    """Values left out of the planes, as unsigned integers."""
    grid: Grid | None = None
    """With factors: how the chunk lies in its matrix."""


def pack_params(shape: Shape) -> bytes:
    """The codec parameters."""
    flags = (_ROTATED if shape.rotate else 0) | (_FACTORS if shape.grid else 0)
    head = _PARAMS.pack(_LAYOUT, shape.width, flags, len(shape.holes))
    holes = b"".join(hole.to_bytes(shape.width, "little") for hole in shape.holes)
    return head + holes + (_GRID.pack(*shape.grid) if shape.grid else b"")


def parse_params(params: bytes) -> Shape:
    """The inverse of pack_params. Raises FormatError or UnsupportedError."""
    if len(params) < _PARAMS.size:
        raise FormatError("codec parameters are cut short")
    layout, width, flags, n_holes = _PARAMS.unpack_from(params)
    with_factors = bool(flags & _FACTORS)
    known = layout == _LAYOUT and width in WIDTHS and not flags & ~(_ROTATED | _FACTORS) and n_holes <= MAX_HOLES
    if not known or (with_factors and (n_holes or width == 1 or not flags & _ROTATED)):
        raise UnsupportedError("planes of a layout this version does not know: written by a newer ckstore")
    end = _PARAMS.size + n_holes * width
    if len(params) != end + (_GRID.size if with_factors else 0):
        raise FormatError("codec parameters of a wrong length")
    holes = (int.from_bytes(params[at : at + width], "little") for at in range(_PARAMS.size, end, width))
    grid = Grid(*_GRID.unpack_from(params, end)) if with_factors else None
    return Shape(width, bool(flags & _ROTATED), tuple(holes), grid)


def encode(
    raw: Bytes, base: Bytes | None, shape: Shape, stats: Sequence[Stats], matches: bool,
    level: Level = Level.BALANCED,
) -> Bytes:  # fmt: skip
    """The payload of `raw`, or of raw ^ base. stats: of each plane; matches: likely in some. Noise is copied once.

    The shape has no grid.
    """
    elements, counts, bitmaps = raw, b"", []
    for i, hole in enumerate(shape.holes):
        elements, bitmap = leave_out(elements, shape.width, hole)
        counts += (len(elements) // shape.width).to_bytes(4, "little")
        bitmaps.append(entropy.encode(bitmap, entropy.UNKNOWN, True, entropy.room(f"hole {i}", len(bitmap)), level))
    streams, n_before = bitmaps, len(bitmaps)
    at, n = len(counts) + entropy.HEAD_BYTES * (n_before + shape.width), len(elements) // shape.width
    start = at + sum(len(stored) for _, stored in streams)
    # Exponents are coded and all else is noise, mostly: the highest plane's stream is made where it will lie.
    last, top = start + (shape.width - 1) * n, scratch.buffer("top plane", n)
    payload = np.empty(last + kernels.huffman_bound(n), np.uint8)
    kernels.split(elements, shape.width, shape.rotate, payload[start:last], base, top)
    for p in range(shape.width - 1):
        plane = payload[start + p * n : start + (p + 1) * n]
        if stats[p].bits >= entropy.NOISE_BITS and not matches:
            streams.append((entropy.RAW, plane))
        else:
            streams.append(entropy.encode(plane, stats[p], matches, entropy.room(f"plane {p}", n), level))
    streams.append(entropy.encode(top, stats[-1], matches, payload[last:], level))
    table = counts + entropy.heads(streams)
    payload[: len(table)] = scratch.as_bytes(table)
    return payload[: _settle(payload, at, start, n, streams, n_before)]


def _settle(payload: Bytes, at: int, start: int, n: int, streams: list[entropy.Stream], n_before: int) -> int:
    """Bring the streams one behind the other to `at`. Returns the end.

    start: where the first plane of n bytes lies. n_before: streams before the planes. A raw plane lies in the payload,
    maybe there; the highest one does not, but what was made of it in the room that it was given.
    """
    for i, (tier, stored) in enumerate(streams):
        lies_there = tier in entropy.IN_ROOM if i == len(streams) - 1 else tier == entropy.RAW and i >= n_before
        if not lies_there or at != start + (i - n_before) * n:
            payload[at : at + len(stored)] = stored
        at += len(stored)
    return at


def leave_out(elements: Bytes, width: int, hole: int) -> tuple[Bytes, Bytes]:
    """The elements that are not `hole`, and the bitmap that says where they were."""
    n = len(elements) // width
    bitmap, values = np.empty((n + 7) // 8, np.uint8), np.empty(len(elements), np.uint8)
    count = kernels.sparse_split(elements, width, hole, bitmap, values)
    return values[: count * width], bitmap


def decode(shape: Shape, payload: Bytes, base: Bytes | None, out: Bytes) -> None:
    """Fill `out`. Raises FormatError for a payload that is not exactly of its length."""
    if len(out) % shape.width or (base is not None and (shape.holes or shape.grid)):
        raise FormatError("planes that do not fit the chunk")
    counts, streams = _parse(shape, payload, len(out) // shape.width)
    if shape.grid is not None:
        less = factors.parse(shape.grid, counts[0], streams[:2])
        _merge(shape, streams[2:], None, out, less)
        return
    bitmaps = []
    for before, (tier, stored) in zip(counts, streams[: len(shape.holes)], strict=False):
        bitmap = np.empty((before + 7) // 8, np.uint8)
        entropy.decode(tier, stored, bitmap)
        bitmaps.append(bitmap)
    elements = out if not shape.holes else np.empty(counts[-1] * shape.width, np.uint8)
    _merge(shape, streams[len(shape.holes) :], base, elements)
    for i in reversed(range(len(bitmaps))):
        target = out if i == 0 else np.empty(counts[i] * shape.width, np.uint8)
        if not kernels.sparse_merge(bitmaps[i], elements, shape.width, shape.holes[i], target):
            raise FormatError("bitmap does not fit the number of elements")
        elements = target


def _parse(shape: Shape, payload: Bytes, n: int) -> tuple[list[int], list[entropy.Stream]]:
    """Elements before the first hole and after each, and the streams."""
    at = 4 * len(shape.holes)
    if len(payload) < at:
        raise FormatError("payload is cut short")
    counts = [n, *payload[:at].view("<u4").tolist()]
    if sorted(counts, reverse=True) != counts:
        raise FormatError("more elements left than there were")
    return counts, entropy.parse(payload[at:], len(shape.holes) + (2 if shape.grid else 0) + shape.width)


def _merge(
    shape: Shape, streams: list[entropy.Stream], base: Bytes | None, out: Bytes, less: Factors | None = None
) -> None:
    if shape.width == 1 and base is None and not shape.rotate:
        entropy.decode(*streams[0], out)
        return
    room, n = scratch.buffer("planes", len(out)), len(out) // shape.width
    parts = [entropy.decoded(stream, n, room[p * n : (p + 1) * n]) for p, stream in enumerate(streams)]
    if less is not None:
        parts[-1] = _with_factors(parts[-1], less)
    kernels.merge(parts, shape.rotate, out, base)


def _with_factors(plane: Bytes, less: Factors) -> Bytes:
    """The plane of exponents, in a buffer of this thread: a raw stream must stay as it is stored."""
    room = scratch.buffer("exponents", len(plane))
    np.copyto(room, plane)
    factors.add(room, less)
    return room
