"""A chunk ⇄ its differences to a base, as integers in the order of the numbers.

    PARAMETERS  layout (u8, 0), element width (u8: 1, 2, 4, 8), flags (u8: 1 = elements are floats, 2 = recentred)
    PAYLOAD     if recentred: origin o (i16), bits of a float below its exponent (u8); a table of two streams; these
    STREAMS     the bit stream (always raw), then the symbols, a byte an element

W is the width in bits. d = order(x) - order(base), modulo 2^W, where order(x) is x for integers; for floats it is x if
the top bit of x is clear, else x ^ (2^(W-1) - 1), so that equal steps of the integer are equal steps of the float.
s is the top bit of d; g is d if s is 0, else the complement of d. With E = 6, 3, 2, 1 for W = 8, 16, 32, 64 and
k = max(0, bit length of g - 1 - E), the symbol is 2 ((k << E) + (g >> k)) + s, and the k low bits of g go to the bit
stream, lowest bit first, with zero bits up to the last byte. The symbol holds all that is worth coding: magnitude,
leading bits and sign. What is left of a difference is noise.

Recentred (floats of 2, 4, 8 bytes): b = bit length of g, e = the exponent field of the base's element, E = 2, class
c = min(31, max(0, b + e - o)), symbol = 2 (4 c + lead) + s. For 0 < c < 31, k = max(0, b - 3) low bits of g go to the
bit stream and lead = the two bits above them; the highest bit of g, which c tells, is dropped where it is above both.
For c = 0, lead = 0 and the max(0, o - e) low bits of g (W - 1 at most) go there; for c = 31, lead = 0 and W - 1 bits.
An optimiser's steps have about one size whatever the weight: the bit length of a difference in units of the last
place runs against the exponent of the weight, and c does not.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ckstore._native import kernels
from ckstore.codec import entropy, scratch
from ckstore.codec.entropy import Stats, Stream
from ckstore.codec.kinds import WIDTHS, Kind
from ckstore.codec.levels import Level
from ckstore.codec.scratch import Bytes
from ckstore.errors import FormatError, UnsupportedError

_LAYOUT = 0
_FLOATS, _RECENTRED = 1, 2
_PARAMS = struct.Struct("<BBB")
_CENTER = struct.Struct("<hB")
MANTISSAS = {2: (7, 10), 4: (23,), 8: (52,)}
"""Bits below the exponent that floats of a width may have: bfloat16, float16; float32; float64."""
PARAMS_BYTES = _PARAMS.size


class Center(NamedTuple):
    """How differences are recentred."""

    origin: int
    """Class 1 is a bit length and an exponent that add up to one more."""
    mantissa: int
    """Bits of an element below its exponent."""


def pack_params(kind: Kind, recentred: bool = False) -> bytes:
    """The codec parameters."""
    return _PARAMS.pack(_LAYOUT, kind.width, (_FLOATS if kind.is_float else 0) | (_RECENTRED if recentred else 0))


def parse_params(params: bytes) -> tuple[Kind, bool]:
    """The inverse of pack_params. Raises FormatError or UnsupportedError."""
    if len(params) != _PARAMS.size:
        raise FormatError("codec parameters of a wrong length")
    layout, width, flags = _PARAMS.unpack(params)
    recentred = bool(flags & _RECENTRED)
    known = width in MANTISSAS and flags & _FLOATS if recentred else width in WIDTHS
    if layout != _LAYOUT or not known or flags & ~(_FLOATS | _RECENTRED):
        raise UnsupportedError("differences of a layout this version does not know: written by a newer ckstore")
    return Kind(width, bool(flags & _FLOATS)), recentred


def encode(
    raw: Bytes, base: Bytes, kind: Kind, stats: Stats, matches: bool, center: Center | None = None,
    level: Level = Level.BALANCED, sides: Sequence[Stream] = (),
) -> Bytes:  # fmt: skip
    """The payload of `raw` against `base`; stats, matches: what a sample says of the symbols; sides: first streams."""
    head = b"" if center is None else _CENTER.pack(*center)
    before = b"".join(stored.tobytes() for _, stored in sides)
    start = len(head) + (2 + len(sides)) * entropy.HEAD_BYTES + len(before)
    symbols = scratch.buffer("symbols", len(raw) // kind.width)
    payload = np.empty(start + len(raw) + kernels.BITS_SLACK + kernels.huffman_bound(len(symbols)), np.uint8)
    n_bits = kernels.delta_split(raw, base, kind.width, kind.is_float, symbols, payload[start:], *(center or ()))
    end = start + n_bits
    tier, stored = entropy.encode(symbols, stats, matches, payload[end:], level)
    table = entropy.heads([*sides, (entropy.RAW, payload[start:end]), (tier, stored)])
    payload[:start] = scratch.as_bytes(head + table + before)
    if tier not in entropy.IN_ROOM:
        payload[end : end + len(stored)] = stored
    return payload[: end + len(stored)]


def decode(kind: Kind, payload: Bytes, base: Bytes, out: Bytes, recentred: bool = False) -> None:
    """Fill `out`. Raises FormatError for a payload that is not exactly of its length."""
    center, streams = parse(kind, payload, recentred, 2)
    merge(kind, streams, base, out, center)


def parse(kind: Kind, payload: Bytes, recentred: bool, n_streams: int) -> tuple[Center | None, list[Stream]]:
    """The parts of a payload: bits and symbols are the last two streams. Raises FormatError."""
    center = _parse_center(kind, payload) if recentred else None
    return center, entropy.parse(payload[_CENTER.size :] if recentred else payload, n_streams)


def merge(kind: Kind, streams: Sequence[Stream], base: Bytes, out: Bytes, center: Center | None) -> None:
    """Fill `out` from bits and symbols. Raises FormatError for others than of its length."""
    if len(out) % kind.width or len(base) != len(out):
        raise FormatError("differences that do not fit the chunk")
    (bits_tier, bits), (tier, stored) = streams
    if bits_tier != entropy.RAW:
        raise UnsupportedError(f"bit stream in tier {bits_tier}: written by a newer ckstore")
    n = len(out) // kind.width
    symbols = entropy.decoded((tier, stored), n, scratch.buffer("symbols", n))
    if not kernels.delta_merge(symbols, bits, base, kind.width, kind.is_float, out, *(center or ())):
        raise FormatError("bit stream does not fit its symbols")


def _parse_center(kind: Kind, payload: Bytes) -> Center:
    if len(payload) < _CENTER.size:
        raise FormatError("payload is cut short")
    center = Center(*_CENTER.unpack(payload[: _CENTER.size]))
    if center.mantissa not in MANTISSAS[kind.width]:
        raise UnsupportedError(f"floats with {center.mantissa} bits of mantissa: written by a newer ckstore")
    return center
