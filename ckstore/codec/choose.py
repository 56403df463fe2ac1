"""Which codec for a chunk, from a sample of it. Pure: a choice depends on nothing but the arguments.

A sample is some 8,000 elements in runs of 64. Floats that are measurements, with noise in their lowest bits, are judged
by the order-0 entropy of what each codec would store: beyond skewed bytes nothing is to be gained there. Anything else
(integers, bytes, floats that are codes or steps) is judged by coding the middle of the chunk each way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ckstore._native import kernels
from ckstore.codec import delta, entropy, planes, scratch
from ckstore.codec.entropy import Stats
from ckstore.codec.kinds import OPAQUE, Kind
from ckstore.codec.levels import Level
from ckstore.codec.sample import RUNS, profile, take
from ckstore.codec.scratch import Bytes
from ckstore.format.frame import DELTA_INT, DELTA_XOR, PLANES

_TRIAL_BYTES = 1 << 16
_HOLE_SHARE = 0.02
_RUNS = {Level.FAST: 31, Level.BALANCED: RUNS, Level.ARCHIVE: RUNS}
"""Of the sample."""
_NOISY_BITS = 6.0
_BIAS = {PLANES: 1.0, DELTA_XOR: 1.01, DELTA_INT: 1.015}
"""What an estimate is multiplied with: a base must earn its read, and the slower decoder its time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with a chunk."""

    codec: int
    kind: Kind
    base: int | None
    """Position of the base, if the codec takes one."""
    holes: tuple[int, ...]
    stats: tuple[Stats, ...]
    """Of each plane, or of the symbols."""
    bits: float
    """Estimated bits an element, with bias."""
    noisy: bool = False
    """Whether the lowest bits of the elements are noise, as in measurements; small floats are taken to be such."""
    matches: bool = False
    """Whether to look for repeated sequences."""


def choose(raw: Bytes, kind: Kind, bases: Sequence[Bytes], level: Level = Level.BALANCED) -> Plan:
    """The cheapest plan for `raw`, given possible bases of the same kind and length."""
    plans = list(_plans(raw, kind, bases, _RUNS[level]))
    noisy = kind.is_float and any(plan.codec == PLANES and plan.noisy for plan in plans)
    if level is Level.FAST or (noisy and level is Level.BALANCED):
        least = min(plans, key=lambda plan: plan.bits)
        return least if noisy else replace(least, matches=True)
    if noisy:
        return min(plans, key=lambda plan: len(encode(raw, bases, plan)[1]) * _BIAS[plan.codec])
    others = dict.fromkeys((Kind(kind.width, False), OPAQUE))
    plans += [plan for other in others if other != kind for plan in _plans(raw, other, bases, RUNS)]
    plans = [replace(plan, matches=True) for plan in plans]
    if len(plans) == 1:
        return plans[0]
    n_bytes = len(raw) if level is Level.ARCHIVE else _TRIAL_BYTES
    start = max(0, len(raw) - n_bytes) // 2 // kind.width * kind.width
    middle = slice(start, start + n_bytes)
    parts = [base[middle] for base in bases]
    return min(plans, key=lambda plan: len(encode(raw[middle], parts, plan)[1]) * _BIAS[plan.codec])


def encode(raw: Bytes, bases: Sequence[Bytes], plan: Plan, level: Level = Level.BALANCED) -> tuple[bytes, Bytes]:
    """Parameters and payload of `raw` by this plan."""
    base = None if plan.base is None else bases[plan.base]
    if plan.codec == DELTA_INT and base is not None:
        return delta.pack_params(plan.kind), delta.encode(raw, base, plan.kind, plan.stats[0], plan.matches, level)
    shape = planes.Shape(plan.kind.width, _rotate(plan.kind, base), plan.holes)
    return planes.pack_params(shape), planes.encode(raw, base, shape, plan.stats, plan.matches, level)


def _rotate(kind: Kind, base: Bytes | None) -> bool:
    """Planes of a xor are of the bytes as they are: it is for changes of bytes, not of numbers."""
    return kind.is_float and kind.width > 1 and base is None


def _plans(raw: Bytes, kind: Kind, bases: Sequence[Bytes], runs: int) -> Iterator[Plan]:
    sample = take(raw, kind.width, runs)
    plan = _planes_plan(sample, kind, None, None)
    yield plan
    # Both zeros have a highest plane of 0 once the sign is below: where that is rare there is nothing to count.
    holes = _holes(sample, kind) if not kind.is_float or plan.stats[-1].zeros >= _HOLE_SHARE else ()
    if holes:
        yield _holes_plan(sample, kind, holes)
    for position, base in enumerate(bases):
        under = take(base, kind.width, runs)
        yield _planes_plan(sample, kind, position, under)
        yield _delta_plan(sample, kind, position, under)


def _planes_plan(sample: Bytes, kind: Kind, position: int | None, base: Bytes | None) -> Plan:
    split = scratch.buffer("sample planes", len(sample))
    kernels.split(sample, kind.width, _rotate(kind, base), split, base)
    stats = profile(split, kind.width)
    codec, noisy = PLANES if base is None else DELTA_XOR, kind.width == 1 or stats[0].bits >= _NOISY_BITS
    return Plan(codec, kind, position, (), stats, _cost(stats) * _BIAS[codec], noisy)


def _holes_plan(sample: Bytes, kind: Kind, holes: tuple[int, ...]) -> Plan:
    left, bits = sample, 0.0
    for hole in holes:
        left, bitmap = planes.leave_out(left, kind.width, hole)
        bits += profile(bitmap, 1)[0].bits * len(bitmap)
    rest = _planes_plan(left, kind, None, None)
    bits = (bits * kind.width + rest.bits * len(left)) / len(sample)
    return replace(rest, holes=holes, bits=bits)


def _delta_plan(sample: Bytes, kind: Kind, position: int, base: Bytes) -> Plan:
    n = len(sample) // kind.width
    symbols, low = scratch.buffer("symbols", n), scratch.buffer("low bits", len(sample) + kernels.BITS_SLACK)
    n_low = kernels.delta_split(sample, base, kind.width, kind.is_float, symbols, low)
    stats = profile(symbols, 1)
    bits = _cost(stats) + 8 * n_low / n
    return Plan(DELTA_INT, kind, position, (), stats, bits * _BIAS[DELTA_INT])


def _holes(sample: Bytes, kind: Kind) -> tuple[int, ...]:
    """Zero and minus zero, if frequent enough to be left out."""
    if kind.width == 1:
        return ()
    elements = sample.view(f"<u{kind.width}")
    values = (0, 1 << (8 * kind.width - 1))
    return tuple(v for v in values if np.count_nonzero(elements == v) >= _HOLE_SHARE * len(elements))


def _cost(stats: Sequence[Stats]) -> float:
    return sum(8.0 if plane.bits >= entropy.NOISE_BITS else plane.bits for plane in stats)
