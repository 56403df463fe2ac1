"""Streams in which nearly all bytes are one: where the others are, as the number of that byte before each.

    TIER  NAME      STORED BYTES
    3     sparse    the most frequent byte (u8), the count of all others (u32), two stream heads (tier u8, stored length
                    u32), then the two streams: a bitmap (bit i, lowest first, is set where byte i is another one), and
                    the other bytes in order. Neither is sparse or gaps again.
    6     gaps      the most frequent byte (u8), the count of all others (u32), three stream heads, then the streams:
                    the bit stream (always raw) and the symbols (a byte each) of the gaps, and the other bytes in order.
                    A gap is how many of the most frequent byte lie between another byte and the one before it, or the
                    start; bits and symbol are those of delta_int for an integer of 32 bits and a base of 0 (delta.py).

Distances of bytes that are spread by chance come within 2 % of their entropy this way, however rare they are; a bitmap
coded by bytes needs a bit for each eight, which is 70 % too much where one byte in 100 differs.
"""

from __future__ import annotations

import numpy as np

from ckstore._native import kernels
from ckstore.codec import scratch
from ckstore.codec.scratch import Bytes

_GAP_BYTES = 4


def gaps(data: Bytes, mode: int) -> tuple[Bytes, Bytes, Bytes]:
    """Bit stream and symbols of the gaps, and the bytes that are not `mode`; all of this thread's buffers."""
    found, values = scratch.buffer("gaps", _GAP_BYTES * len(data)), scratch.buffer("values", len(data))
    count = kernels.gap_split(data, mode, found, values)
    n_bytes, symbols = _GAP_BYTES * count, scratch.buffer("gap symbols", count)
    bits = scratch.buffer("gap bits", n_bytes + kernels.BITS_SLACK)
    used = kernels.delta_split(found[:n_bytes], _zeros(n_bytes), _GAP_BYTES, False, symbols, bits)
    return bits[:used], symbols, values[:count]


def from_gaps(bits: Bytes, symbols: Bytes, values: Bytes, mode: int, out: Bytes) -> bool:
    """Fill `out`; False, with `out` undefined, if these are not the parts of len(out) bytes."""
    n_bytes = _GAP_BYTES * len(values)
    found = scratch.buffer("gaps", n_bytes)
    whole = kernels.delta_merge(symbols, bits, _zeros(n_bytes), _GAP_BYTES, False, found)
    return whole and kernels.gap_merge(found, values, mode, out)


def _zeros(n_bytes: int) -> Bytes:
    return np.zeros(n_bytes, np.uint8)
