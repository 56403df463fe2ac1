"""A chunk ⇄ its differences to a base, as integers in the order of the numbers.

    PARAMETERS  layout (u8, 0), element width (u8: 1, 2, 4, 8), flags (u8: 1 = elements are floats)
    PAYLOAD     a table of two streams; the streams
    STREAMS     the bit stream (always raw), then the symbols, a byte an element

W is the width in bits. d = order(x) - order(base), modulo 2^W, where order(x) is x for integers; for floats it is x if
the top bit of x is clear, else x ^ (2^(W-1) - 1), so that equal steps of the integer are equal steps of the float.
s is the top bit of d; g is d if s is 0, else the complement of d. With E = 6, 3, 2, 1 for W = 8, 16, 32, 64 and
k = max(0, bit length of g - 1 - E), the symbol is 2 ((k << E) + (g >> k)) + s, and the k low bits of g go to the bit
stream, lowest bit first, with zero bits up to the last byte. The symbol holds all that is worth coding: magnitude,
leading bits and sign. What is left of a difference is noise.
"""

from __future__ import annotations

import struct

import numpy as np

from ckstore._native import kernels
from ckstore.codec import entropy, scratch
from ckstore.codec.entropy import Stats
from ckstore.codec.kinds import WIDTHS, Kind
from ckstore.codec.levels import Level
from ckstore.codec.scratch import Bytes
from ckstore.errors import FormatError, UnsupportedError

_LAYOUT = 0
_FLOATS = 1
_PARAMS = struct.Struct("<BBB")
_TABLE_BYTES = 2 * entropy.HEAD_BYTES


def pack_params(kind: Kind) -> bytes:
    """The codec parameters."""
    return _PARAMS.pack(_LAYOUT, kind.width, _FLOATS if kind.is_float else 0)


def parse_params(params: bytes) -> Kind:
    """The inverse of pack_params. Raises FormatError or UnsupportedError."""
    if len(params) != _PARAMS.size:
        raise FormatError("codec parameters of a wrong length")
    layout, width, flags = _PARAMS.unpack(params)
    if layout != _LAYOUT or width not in WIDTHS or flags & ~_FLOATS:
        raise UnsupportedError("differences of a layout this version does not know: written by a newer ckstore")
    return Kind(width, bool(flags))


def encode(raw: Bytes, base: Bytes, kind: Kind, stats: Stats, matches: bool, level: Level = Level.BALANCED) -> Bytes:
    """The payload of `raw` against `base`; stats, matches: what a sample says of the symbols."""
    symbols = scratch.buffer("symbols", len(raw) // kind.width)
    payload = np.empty(_TABLE_BYTES + len(raw) + kernels.BITS_SLACK, np.uint8)
    n_bits = kernels.delta_split(raw, base, kind.width, kind.is_float, symbols, payload[_TABLE_BYTES:])
    end = _TABLE_BYTES + n_bits
    tier, stored = entropy.encode(symbols, stats, matches, entropy.room("symbols", len(symbols)), level)
    table = entropy.heads([(entropy.RAW, payload[_TABLE_BYTES:end]), (tier, stored)])
    payload[:_TABLE_BYTES] = scratch.as_bytes(table)
    if end + len(stored) > len(payload):
        return np.concatenate((payload[:end], stored))
    payload[end : end + len(stored)] = stored
    return payload[: end + len(stored)]


def decode(kind: Kind, payload: Bytes, base: Bytes, out: Bytes) -> None:
    """Fill `out`. Raises FormatError for a payload that is not exactly of its length."""
    if len(out) % kind.width:
        raise FormatError("differences that do not fit the chunk")
    (bits_tier, bits), (tier, stored) = entropy.parse(payload, 2)
    if bits_tier != entropy.RAW:
        raise UnsupportedError(f"bit stream in tier {bits_tier}: written by a newer ckstore")
    n = len(out) // kind.width
    symbols = entropy.decoded((tier, stored), n, scratch.buffer("symbols", n))
    if not kernels.delta_merge(symbols, bits, base, kind.width, kind.is_float, out):
        raise FormatError("bit stream does not fit its symbols")
