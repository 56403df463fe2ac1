"""Chunks that follow from something else: one value repeated, or the rounding of wider floats.

fill    PARAMETERS  the value, 1-16 bytes; PAYLOAD nothing. The chunk is the value repeated.
round   PARAMETERS  kind (u8): 0 float32 to bfloat16, 1 float32 to float16, 2 float64 to float32; PAYLOAD nothing.
                    The chunk is the base, each element rounded to nearest, ties to even. NaN becomes all ones as
                    bfloat16; otherwise it keeps sign and top payload bits and is made quiet.
"""

from __future__ import annotations

import numpy as np

from ckstore._native import kernels
from ckstore.codec import scratch
from ckstore.codec.scratch import Bytes
from ckstore.errors import FormatError, UnsupportedError
from ckstore.tensor import ITEM_BYTES

MAX_FILL_BYTES = 16
_FILL_ITEMS = 4096
_PROBE_ELEMENTS = 256
_ROUNDING = kernels.ROUND_KINDS
_MASTER_WIDTH = {0: 4, 1: 4, 2: 8}


def fill_value(raw: Bytes, dtype: str) -> bytes | None:
    """The value that `raw` repeats, or None."""
    size = int(dtype[6:]) if dtype.startswith("bytes:") else ITEM_BYTES.get(dtype, 1)
    width = size if size <= MAX_FILL_BYTES and len(raw) % size == 0 else 1
    return raw[:width].tobytes() if kernels.is_constant(raw, width) else None


def fill(value: bytes, out: Bytes) -> None:
    """Repeat `value` over `out`. Raises FormatError if it does not fit."""
    if not 1 <= len(value) <= MAX_FILL_BYTES or len(out) % len(value):
        raise FormatError("fill value does not fit the chunk")
    row = scratch.as_bytes(value * max(1, min(_FILL_ITEMS, len(out) // len(value))))
    whole = len(out) // len(row) * len(row)
    out[:whole].reshape(-1, len(row))[:] = row
    out[whole:] = row[: len(out) - whole]


def rounding(raw: Bytes, dtype: str, master: Bytes, master_dtype: str) -> int | None:
    """The kind of rounding that makes exactly `raw` of `master`, or None. Nearly free when there is none."""
    kind = _ROUNDING.get((master_dtype, dtype))
    if kind is None or len(master) != 2 * len(raw) or len(master) % _MASTER_WIDTH[kind]:
        return None
    probe = _PROBE_ELEMENTS * _MASTER_WIDTH[kind] // 2
    if not _rounds_to(raw[:probe], master[: 2 * probe], kind):
        return None
    return kind if _rounds_to(raw, master, kind) else None


def _rounds_to(raw: Bytes, master: Bytes, kind: int) -> bool:
    rounded = scratch.buffer("rounded", len(raw))
    kernels.round_floats(master, kind, rounded)
    return np.array_equal(rounded, raw)


def round_into(params: bytes, master: Bytes, out: Bytes) -> None:
    """Fill `out` with the rounding of `master`. Raises FormatError or UnsupportedError."""
    if len(params) != 1:
        raise FormatError("codec parameters of a wrong length")
    if params[0] not in _ROUNDING.values():
        raise UnsupportedError(f"unknown kind of rounding {params[0]}: written by a newer ckstore")
    if len(master) != 2 * len(out) or len(master) % _MASTER_WIDTH[params[0]]:
        raise FormatError("base of a wrong length")
    kernels.round_floats(master, params[0], out)
