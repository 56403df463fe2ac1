"""Which codec for a chunk, from a sample of it. Pure: a choice depends on nothing but the arguments.

A sample is some 8,000 elements in runs of 64. Floats that are measurements, with noise in their lowest bits, are judged
by the order-0 entropy of what each codec would store: beyond skewed bytes nothing is to be gained there. Anything else
(integers, bytes, floats that are codes or steps) is judged by coding the middle of the chunk each way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ckstore._native import kernels
from ckstore.codec import delta, entropy, planes, predict, scratch
from ckstore.codec.delta import Center
from ckstore.codec.entropy import Stats
from ckstore.codec.factors import Factors
from ckstore.codec.kinds import OPAQUE, Kind
from ckstore.codec.levels import Level
from ckstore.codec.predict import Predictor
from ckstore.codec.sample import RUNS, profile, take
from ckstore.codec.scratch import Bytes
from ckstore.format.frame import DELTA_INT, DELTA_XOR, PLANES, PREDICTED

_TRIAL_BYTES = 1 << 16
_HOLE_SHARE = 0.02
_RUNS = {Level.FAST: 31, Level.BALANCED: RUNS, Level.ARCHIVE: RUNS}
"""Of the sample."""
_NOISY_BITS = 6.0
BIAS = {PLANES: 1.0, DELTA_XOR: 1.01, DELTA_INT: 1.015, PREDICTED: 1.015}
"""What an estimate is multiplied with: a base must earn its read, and the slower decoder its time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with a chunk."""

    codec: int
    kind: Kind
    bases: tuple[int, ...]
    """Positions of the bases, in the order of the frame."""
    holes: tuple[int, ...]
    stats: tuple[Stats, ...]
    """Of each plane, or of the symbols."""
    bits: float
    """Estimated bits an element, with bias."""
    noisy: bool = False
    """Whether the lowest bits of the elements are noise, as in measurements; small floats are taken to be such."""
    matches: bool = False
    """Whether to look for repeated sequences."""
    center: Center | None = None
    """Of recentred differences."""
    predictor: Predictor | None = None
    """Of a predicted chunk."""
    factors: Factors | None = None
    """Of the predictor's scale, for this very chunk."""


def plans(raw: Bytes, kind: Kind, bases: Mapping[int, Bytes], level: Level = Level.BALANCED) -> list[Plan]:
    """The ways that need nothing but the chunk and earlier ones of its kind and length; planes come first."""
    return list(_plans(raw, kind, bases, _RUNS[level]))


def is_noisy(kind: Kind, known: Sequence[Plan]) -> bool:
    """Whether the chunk holds measurements: then the plan with the fewest bits is right."""
    return kind.is_float and any(plan.codec == PLANES and plan.noisy for plan in known)


def by_trial(
    raw: Bytes, kind: Kind, bases: Mapping[int, Bytes], known: Sequence[Plan], level: Level = Level.BALANCED
) -> Plan:
    """The best of the plans and of those that look at the bytes in another way, by coding the middle of the chunk, or
    all of it."""
    others = dict.fromkeys((Kind(kind.width, False), OPAQUE))
    found = [*known, *(plan for other in others if other != kind for plan in _plans(raw, other, bases, RUNS))]
    found = [replace(plan, matches=True) for plan in found]
    if len(found) == 1:
        return found[0]
    n_bytes = len(raw) if level is Level.ARCHIVE else _TRIAL_BYTES
    start = max(0, len(raw) - n_bytes) // 2 // kind.width * kind.width
    middle = slice(start, start + n_bytes)
    return by_size(raw[middle], {position: base[middle] for position, base in bases.items()}, found)


def by_size(raw: Bytes, bases: Mapping[int, Bytes], known: Sequence[Plan]) -> Plan:
    """The plan that codes `raw` in the fewest bytes."""
    return min(known, key=lambda plan: len(encode(raw, bases, plan)[1]) * BIAS[plan.codec])


def encode(raw: Bytes, bases: Mapping[int, Bytes], plan: Plan, level: Level = Level.BALANCED) -> tuple[bytes, Bytes]:
    """Parameters and payload of `raw` by this plan."""
    under, recentred = [bases[position] for position in plan.bases], plan.center is not None
    if plan.predictor is not None:
        params = predict.pack_params(plan.predictor, recentred)
        return params, predict.encode(raw, under, plan.predictor, plan.stats[0], plan.center, level, plan.factors)
    if plan.codec == DELTA_INT:
        payload = delta.encode(raw, under[0], plan.kind, plan.stats[0], plan.matches, plan.center, level)
        return delta.pack_params(plan.kind, recentred), payload
    base = under[0] if under else None
    shape = planes.Shape(plan.kind.width, _rotate(plan.kind, base), plan.holes)
    return planes.pack_params(shape), planes.encode(raw, base, shape, plan.stats, plan.matches, level)


def _rotate(kind: Kind, base: Bytes | None) -> bool:
    """Planes of a xor are of the bytes as they are: it is for changes of bytes, not of numbers."""
    return kind.is_float and kind.width > 1 and base is None


def _plans(raw: Bytes, kind: Kind, bases: Mapping[int, Bytes], runs: int) -> Iterator[Plan]:
    """Planes, planes without holes; of each base planes of the xor, and differences."""
    sample = take(raw, kind.width, runs)
    stats, lows = _split_all(sample, kind, [take(base, kind.width, runs) for base in bases.values()])
    plain = planes_plan(kind, stats[: kind.width])
    yield plain
    # Both zeros have a highest plane of 0 once the sign is below: where that is rare there is nothing to count.
    holes = _holes(sample, kind) if not kind.is_float or plain.stats[-1].zeros >= _HOLE_SHARE else ()
    if holes:
        yield _holes_plan(sample, kind, holes)
    for i, position in enumerate(bases):
        *of_planes, of_symbols = stats[kind.width + i * (kind.width + 1) :][: kind.width + 1]
        yield Plan(DELTA_XOR, kind, (position,), (), tuple(of_planes), cost(of_planes) * BIAS[DELTA_XOR])
        yield _differences(kind, (position,), of_symbols, lows[i] / (len(sample) // kind.width))


def _split_all(sample: Bytes, kind: Kind, under: Sequence[Bytes]) -> tuple[tuple[Stats, ...], list[int]]:
    """Statistics of all planes and symbols, counted at once, and the bytes of the bit stream of each base."""
    size, n = len(sample), len(sample) // kind.width
    n_parts = kind.width + len(under) * (kind.width + 1)
    room, low = scratch.buffer("sample planes", n_parts * n), scratch.buffer("low bits", size + kernels.BITS_SLACK)
    kernels.split(sample, kind.width, _rotate(kind, None), room[:size])
    lows, at = [], size
    for base in under:
        kernels.split(sample, kind.width, False, room[at : at + size], base)
        symbols = room[at + size : at + size + n]
        lows.append(kernels.delta_split(sample, base, kind.width, kind.is_float, symbols, low))
        at += size + n
    return profile(room, n_parts), lows


def planes_plan(kind: Kind, stats: tuple[Stats, ...]) -> Plan:
    """Planes without a base and without holes, by the statistics of each."""
    noisy = kind.width == 1 or stats[0].bits >= _NOISY_BITS
    return Plan(PLANES, kind, (), (), stats, cost(stats), noisy)


def _differences(kind: Kind, used: tuple[int, ...], stats: Stats, low_bytes: float) -> Plan:
    """low_bytes: of the bit stream, an element."""
    return Plan(DELTA_INT, kind, used, (), (stats,), (cost([stats]) + 8 * low_bytes) * BIAS[DELTA_INT])


def _holes_plan(sample: Bytes, kind: Kind, holes: tuple[int, ...]) -> Plan:
    left, bits = sample, 0.0
    for hole in holes:
        left, bitmap = planes.leave_out(left, kind.width, hole)
        bits += profile(bitmap, 1)[0].bits * len(bitmap)
    split = scratch.buffer("sample planes", len(left))
    kernels.split(left, kind.width, _rotate(kind, None), split)
    rest = planes_plan(kind, profile(split, kind.width))
    bits = (bits * kind.width + rest.bits * len(left)) / len(sample)
    return replace(rest, holes=holes, bits=bits)


def delta_plan(sample: Bytes, kind: Kind, used: tuple[int, ...], under: Bytes) -> Plan:
    """Differences of a sample to a prediction of it from the bases `used`."""
    n = len(sample) // kind.width
    symbols, low = scratch.buffer("symbols", n), scratch.buffer("low bits", len(sample) + kernels.BITS_SLACK)
    n_low = kernels.delta_split(sample, under, kind.width, kind.is_float, symbols, low)
    return _differences(kind, used, profile(symbols, 1)[0], n_low / n)


def _holes(sample: Bytes, kind: Kind) -> tuple[int, ...]:
    """Zero and minus zero, if frequent enough to be left out."""
    if kind.width == 1:
        return ()
    elements = sample.view(f"<u{kind.width}")
    values = (0, 1 << (8 * kind.width - 1))
    return tuple(v for v in values if np.count_nonzero(elements == v) >= _HOLE_SHARE * len(elements))


def cost(stats: Sequence[Stats]) -> float:
    """Bits that one byte of each stream costs."""
    return sum(8.0 if plane.bits >= entropy.NOISE_BITS else plane.bits for plane in stats)
