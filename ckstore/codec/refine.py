"""The choice for a chunk, and what makes a good plan for measurements better: recentring, prediction, factors.

Each is tried only where it can still win, on the sample that the plans were judged by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from ckstore._native import kernels
from ckstore.codec import choose, factors, scratch
from ckstore.codec.choose import BIAS, Plan, cost, delta_plan
from ckstore.codec.delta import Center
from ckstore.codec.entropy import UNKNOWN
from ckstore.codec.factors import Grid
from ckstore.codec.foresee import proposals
from ckstore.codec.hints import MOMENTUM, NO_HINTS, VARIANCE, Hints
from ckstore.codec.kinds import kind_of, mantissa_of
from ckstore.codec.levels import Level
from ckstore.codec.predict import DTYPES
from ckstore.codec.sample import origin, positions, profile, take
from ckstore.codec.scene import Proposal, Scene, Source
from ckstore.codec.scratch import Bytes
from ckstore.format.frame import DELTA_INT, PLANES, PREDICTED, ROLE_PREVIOUS

_NEAR = 1.05
"""Differences that cost so much more than the best plan may still win when they are recentred."""
_NOTHING_LEFT, _EXACT = 0.1, 2.0
"""Bits an element: of a plan that none is worth a try against; of a prediction that repeats what was done."""
_COMPANION = 1.03
"""A prediction from other tensors must save so much: each is one more chunk to read, and to keep."""
_RECENTRED, _FACTORED = 1.005, 1.004
"""Recentred differences and factors must save so much: both take longer to undo."""
_LEAST_EXPONENT_BITS = 0.8
"""No factors make an exponent cheaper than this."""
_NO_SOURCES: Mapping[int, Source] = MappingProxyType({})


def choose_plan(
    raw: Bytes,
    dtype: str,
    bases: Mapping[int, Bytes],
    hints: Hints = NO_HINTS,
    sources: Mapping[int, Source] = _NO_SOURCES,
    level: Level = Level.BALANCED,
) -> Plan:
    """The cheapest plan for `raw`.

    bases: earlier chunks of the same dtype and length, by their positions in the references. sources: by role, what
    else it may be predicted from, and the previous one again, each of as many elements as the chunk.
    """
    kind = kind_of(dtype, len(raw))
    known = choose.plans(raw, kind, bases, level)
    best, noisy = min(known, key=_bits), choose.is_noisy(kind, known)
    if level is Level.FAST:
        return best if noisy else replace(best, matches=True)
    if not noisy:
        return choose.by_trial(raw, kind, bases, known, level)
    mantissa = mantissa_of(dtype)
    if mantissa is not None and kind.width > 1:
        sample = take(raw, kind.width)
        best = _with_recentred(sample, bases, mantissa, known, best)
        if ROLE_PREVIOUS in sources and dtype in DTYPES:
            best = _with_predicted(Scene(DTYPES[dtype], hints, sources, sample), mantissa, best)
        if hints.part in (MOMENTUM, VARIANCE):
            best = _with_factors(raw, sample, hints, known[0], best)
    if level is Level.ARCHIVE:
        offered = {**bases, **{source.position: source.data for source in sources.values()}}
        return choose.by_size(raw, offered, [best, *(plan for plan in known if plan is not best)])
    return best


def _bits(plan: Plan) -> float:
    return plan.bits


def _with_recentred(
    sample: Bytes, bases: Mapping[int, Bytes], mantissa: int, known: Sequence[Plan], best: Plan
) -> Plan:
    """The best plan, or the recentred form of the cheapest differences."""
    differences = min((plan for plan in known if plan.codec == DELTA_INT), key=_bits, default=None)
    if differences is None or not _NOTHING_LEFT < differences.bits < _NEAR * best.bits:
        return best
    under = take(bases[differences.bases[0]], differences.kind.width)
    return min(best, _recentred(sample, under, mantissa, differences), key=_bits)


def _recentred(sample: Bytes, under: Bytes, mantissa: int, plain: Plan) -> Plan:
    """These differences as they are or recentred, whichever is cheaper."""
    at, bits = origin(sample, under, plain.kind.width, mantissa)
    if bits * BIAS[DELTA_INT] * _RECENTRED >= plain.bits:
        return plain
    # Where one symbol is much more frequent than all others, the plain ones are cheaper: there is nothing to know here.
    return replace(plain, stats=(UNKNOWN,), bits=bits * BIAS[DELTA_INT], center=Center(at, mantissa))


def _with_predicted(scene: Scene, mantissa: int, best: Plan) -> Plan:
    """The best plan, or a prediction that beats it."""
    with np.errstate(all="ignore"):
        for proposal in proposals(scene):
            if best.bits < (_NOTHING_LEFT if best.predictor is None else _EXACT):
                break
            best = min(best, _predicted(scene, proposal, mantissa), key=_bits)
    return best


def _predicted(scene: Scene, proposal: Proposal, mantissa: int) -> Plan:
    under = scene.predicted(proposal)
    used = tuple(scene.sources[role].position for role in proposal.roles)
    plan = delta_plan(scene.sample, proposal.predictor.kind, used, under)
    if plan.bits > _NOTHING_LEFT:
        plan = _recentred(scene.sample, under, mantissa, plan)
    bits = plan.bits * (_COMPANION if proposal.needs_others else 1.0)
    return replace(plan, codec=PREDICTED, predictor=proposal.predictor, bits=bits)


def _with_factors(raw: Bytes, sample: Bytes, hints: Hints, plain: Plan, best: Plan) -> Plan:
    """The best plan, or the plain planes with factors of rows and columns on their exponents."""
    width, n = plain.kind.width, len(raw) // plain.kind.width
    if not 1 < hints.columns <= n or plain.codec != PLANES or width == 8:
        return best
    grid = Grid(hints.columns, hints.first % hints.columns)
    side = 8 * (grid.columns + grid.n_rows(n)) / n
    rest = plain.bits - plain.stats[-1].bits + side
    if (rest + _LEAST_EXPONENT_BITS) * _FACTORED >= best.bits:
        return best
    found = factors.of_exponents(_top(raw, width), grid)
    exponents = _top(sample, width) - factors.at(positions(n), found)
    stats = profile(exponents, 1)
    bits = (rest + cost(stats)) * _FACTORED
    return replace(plain, stats=(*plain.stats[:-1], *stats), bits=bits, factors=found) if bits < best.bits else best


def _top(data: Bytes, width: int) -> Bytes:
    """The highest byte plane of floats: the exponents of float32 and bfloat16."""
    split = scratch.buffer("exponents", len(data))
    kernels.split(data, width, True, split)
    return split[len(data) - len(data) // width :]
