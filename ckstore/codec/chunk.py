"""Raw chunk ⇄ frame payload: the two doors of the codec.

Every function is pure and thread-safe, keeps only thread-local buffers, and decodes any bytes to an error or to exactly
the bytes of the chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ckstore.codec import choose, delta, derive, planes, predict, scratch
from ckstore.codec.hints import NO_HINTS, Hints
from ckstore.codec.levels import Level
from ckstore.codec.predict import DTYPES
from ckstore.codec.refine import choose_plan
from ckstore.codec.scene import Source
from ckstore.codec.scratch import Bytes
from ckstore.errors import FormatError, UnsupportedError, UsageError
from ckstore.format.frame import (
    CODEC_NAMES,
    DELTA_INT,
    DELTA_XOR,
    FILL,
    MAX_BASES,
    PLANES,
    PREDICTED,
    RAW,
    ROLE_MASTER,
    ROLE_PREVIOUS,
    ROUND,
)


@dataclass(frozen=True, slots=True)
class Reference:
    """The logical bytes of a possible base.

    A previous one has the chunk's own dtype and length; a master has as many elements, of a wider dtype; any other role
    has as many elements, and counts for nothing unless its dtype and the chunk's are float32, bfloat16 or float16.
    """

    role: int
    dtype: str
    data: memoryview


@dataclass(frozen=True, slots=True)
class Encoded:
    """A chunk as it is stored."""

    codec: int
    params: bytes
    payload: bytes | memoryview
    used: tuple[int, ...]
    """Positions in the references, in the order of the frame's bases."""


def encode(
    raw: memoryview, dtype: str, references: Sequence[Reference] = (), hints: Hints = NO_HINTS, *,
    level: Level = Level.BALANCED,
) -> Encoded:  # fmt: skip
    """The cheapest form of `raw` that the level looks for, never larger than it.

    Raises UsageError if a previous reference has another dtype or length, or any other one that could be used does not
    have as many elements.
    """
    data = scratch.as_bytes(raw)
    if len(data) == 0:
        return Encoded(RAW, b"", raw, ())
    value = derive.fill_value(data, dtype)
    if value is not None:
        return Encoded(FILL, value, b"", ())
    for position, reference in enumerate(references):
        if reference.role == ROLE_MASTER:
            rounding = derive.rounding(data, dtype, scratch.as_bytes(reference.data), reference.dtype)
            if rounding is not None:
                return Encoded(ROUND, bytes([rounding]), b"", (position,))
    return _encode_numbers(raw, data, dtype, references, hints, level)


def _encode_numbers(
    raw: memoryview, data: Bytes, dtype: str, references: Sequence[Reference], hints: Hints, level: Level
) -> Encoded:
    bases = _previous(references, dtype, len(data))
    sources = _sources(references, dtype, len(data)) if hints.part else {}
    plan = choose_plan(data, dtype, bases, hints, sources, level)
    offered = bases | {source.position: source.data for source in sources.values()}
    params, payload = choose.encode(data, offered, plan, level)
    if len(payload) + len(params) >= len(data):
        return Encoded(RAW, b"", raw, ())
    return Encoded(plan.codec, params, payload.data, plan.bases)


def _previous(references: Sequence[Reference], dtype: str, n_bytes: int) -> dict[int, Bytes]:
    found = {i: ref for i, ref in enumerate(references) if ref.role == ROLE_PREVIOUS}
    for reference in found.values():
        if reference.dtype != dtype or reference.data.nbytes != n_bytes:
            raise UsageError("a previous chunk of another dtype or length cannot be a base")
    return {i: scratch.as_bytes(reference.data) for i, reference in found.items()}


def _sources(references: Sequence[Reference], dtype: str, n_bytes: int) -> dict[int, Source]:
    """What a prediction may be made from: the first reference in each role."""
    found: dict[int, Source] = {}
    if dtype not in DTYPES or n_bytes % predict.WIDTHS[DTYPES[dtype]]:
        return found
    n = n_bytes // predict.WIDTHS[DTYPES[dtype]]
    for position, reference in enumerate(references):
        if reference.role != ROLE_MASTER and reference.role not in found and reference.dtype in DTYPES:
            kind = DTYPES[reference.dtype]
            if reference.data.nbytes != n * predict.WIDTHS[kind]:
                raise UsageError("a chunk of another number of elements cannot be a base")
            found[reference.role] = Source(position, kind, scratch.as_bytes(reference.data))
    return found


_N_BASES = {
    RAW: (0,), FILL: (0,), PLANES: (0,), DELTA_INT: (1,), DELTA_XOR: (1,), ROUND: (1,),
    PREDICTED: range(MAX_BASES + 1),
}  # fmt: skip


def decode_into(codec: int, params: bytes, payload: memoryview, bases: Sequence[memoryview], out: memoryview) -> None:
    """Fill `out` with the chunk. Nothing else is written, and no more than about four times len(out) is allocated.

    Raises FormatError for anything malformed, bases included, UnsupportedError for an unknown codec or layout; `out` is
    undefined then.
    """
    if codec not in _N_BASES:
        raise UnsupportedError(f"unknown codec {codec}: written by a newer ckstore", codec=codec)
    if len(bases) not in _N_BASES[codec]:
        raise FormatError(f"codec {CODEC_NAMES[codec]} with {len(bases)} bases")
    stored, target = scratch.as_bytes(payload), scratch.as_bytes(out)
    if codec in (FILL, ROUND) and len(stored):
        raise FormatError(f"codec {CODEC_NAMES[codec]} with a payload")
    _decode(codec, bytes(params), stored, [scratch.as_bytes(base) for base in bases], target)


def _decode(codec: int, params: bytes, stored: Bytes, bases: list[Bytes], target: Bytes) -> None:
    if codec in (DELTA_INT, DELTA_XOR) and len(bases[0]) != len(target):
        raise FormatError("base of a wrong length")
    if codec == RAW:
        if params or len(stored) != len(target):
            raise FormatError("raw chunk of a wrong length")
        np.copyto(target, stored)
    elif codec == FILL:
        derive.fill(params, target)
    elif codec == ROUND:
        derive.round_into(params, bases[0], target)
    elif codec == DELTA_INT:
        kind, recentred = delta.parse_params(params)
        delta.decode(kind, stored, bases[0], target, recentred)
    elif codec == PREDICTED:
        predict.decode(params, stored, bases, target)
    else:
        planes.decode(planes.parse_params(params), stored, bases[0] if bases else None, target)
