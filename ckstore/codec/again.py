"""A chunk that is stored already, once more at the archive level: with the bases that it has, and no others.

Two ways are tried. One is the plan of its frame, read from the frame's own parameters: a prediction keeps its formula,
its coefficients, its scale and its factors, which were fitted with all that the save knew. The other is a new choice
among all that needs at most the base it is a difference to: that makes up for what a fast save left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ckstore._native import kernels
from ckstore.codec import choose, delta, planes, predict, scratch
from ckstore.codec.choose import Plan, delta_plan
from ckstore.codec.chunk import Encoded, Reference
from ckstore.codec.chunk import encode as encode_freely
from ckstore.codec.delta import Center
from ckstore.codec.entropy import UNKNOWN
from ckstore.codec.hints import NO_HINTS, Hints
from ckstore.codec.kinds import Kind
from ckstore.codec.levels import Level
from ckstore.codec.sample import profile, take
from ckstore.codec.scratch import Bytes
from ckstore.format.frame import DELTA_INT, DELTA_XOR, PLANES, PREDICTED, RAW, ROLE_PREVIOUS

_CODED = frozenset({RAW, PLANES, DELTA_INT, DELTA_XOR, PREDICTED})
"""The others are a few bytes."""


class Stored(NamedTuple):
    """A chunk's present form, with the logical bytes of its bases."""

    codec: int
    params: bytes
    payload: memoryview
    bases: Sequence[memoryview]
    roles: Sequence[int]
    """Of the bases."""


def encode(raw: memoryview, dtype: str | None, stored: Stored, hints: Hints = NO_HINTS) -> Encoded | None:
    """The smaller of both forms; None where nothing can be gained. It may be larger than the present one.

    REQUIRES: `stored` decodes to `raw`.
    dtype: of the elements, or None where that is not known: then the frame's plan alone is tried. hints: without its
    `update`, which was made use of when the chunk was saved. Raises FormatError for parameters that are malformed,
    UnsupportedError for such as a newer version writes.
    """
    data = scratch.as_bytes(raw)
    if stored.codec not in _CODED or not len(data):
        return None
    found = [form for form in (_as_it_is(data, stored), _chosen(raw, dtype, stored, hints)) if form is not None]
    return min(found, key=lambda form: len(form.params) + len(form.payload), default=None)


def _as_it_is(data: Bytes, stored: Stored) -> Encoded | None:
    """By the plan of the frame."""
    under = [scratch.as_bytes(base) for base in stored.bases]
    plan = None if stored.codec == RAW else _PLANS[stored.codec](data, stored, under)
    if plan is None:
        return None
    params, payload = choose.encode(data, dict(enumerate(under)), plan, Level.ARCHIVE)
    return Encoded(plan.codec, params, payload.data, plan.bases)


def _chosen(raw: memoryview, dtype: str | None, stored: Stored, hints: Hints) -> Encoded | None:
    """By a choice of the archive level."""
    if dtype is None:
        return None
    before = [
        i for i, role in enumerate(stored.roles) if role == ROLE_PREVIOUS and stored.bases[i].nbytes == raw.nbytes
    ]
    references = [Reference(ROLE_PREVIOUS, dtype, stored.bases[i]) for i in before]
    found = encode_freely(raw, dtype, references, replace(hints, update=None), level=Level.ARCHIVE)
    return replace(found, used=tuple(before[position] for position in found.used))


def _planes_plan(data: Bytes, stored: Stored, under: Sequence[Bytes]) -> Plan | None:
    """None for planes with factors: those are written no longer."""
    shape = planes.parse_params(stored.params)
    if shape.grid is not None:
        return None
    kind, sample = Kind(shape.width, shape.rotate), take(data, shape.width)
    split = scratch.buffer("sample planes", len(sample))
    kernels.split(sample, shape.width, shape.rotate, split, *(take(base, shape.width) for base in under))
    stats = profile(split, shape.width)
    plan = choose.planes_plan(kind, stats)
    matches, used = not choose.is_noisy(kind, [plan]), tuple(range(len(under)))
    return replace(plan, codec=stored.codec, bases=used, holes=shape.holes, matches=matches)


def _delta_plan(data: Bytes, stored: Stored, under: Sequence[Bytes]) -> Plan:
    (kind, recentred), used = delta.parse_params(stored.params), tuple(range(len(under)))
    center, _ = delta.parse(kind, scratch.as_bytes(stored.payload), recentred, 2)
    plan = delta_plan(take(data, kind.width), kind, used, take(under[0], kind.width))
    return _recentred(replace(plan, matches=not kind.is_float), center)


def _predicted_plan(data: Bytes, stored: Stored, under: Sequence[Bytes]) -> Plan:
    predictor, recentred = predict.parse_params(stored.params)
    n, kind = len(data) // predictor.kind.width, predictor.kind
    center, sides = predict.parse(predictor, recentred, scratch.as_bytes(stored.payload), n)[:2]
    base = predictor.whole(under, n, sides)
    sample = predict.turned(take(data, kind.width), predictor)
    plan = delta_plan(sample, kind, tuple(range(len(under))), take(base, kind.width))
    return _recentred(replace(plan, codec=PREDICTED, predictor=predictor, factors=sides), center)


def _recentred(plan: Plan, center: Center | None) -> Plan:
    return plan if center is None else replace(plan, stats=(UNKNOWN,), center=center)


_PLANS = {PLANES: _planes_plan, DELTA_XOR: _planes_plan, DELTA_INT: _delta_plan, PREDICTED: _predicted_plan}
