"""The choice for a chunk, and what makes a good plan for measurements better: recentring, prediction, scale.

Each is tried only where it can still win, on the sample that the plans were judged by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from ckstore.codec import choose, predict, scale
from ckstore.codec.choose import BIAS, Plan, delta_plan
from ckstore.codec.delta import Center
from ckstore.codec.entropy import UNKNOWN
from ckstore.codec.factors import Grid
from ckstore.codec.foresee import proposals, to_scale
from ckstore.codec.hints import MOMENTUM, NO_HINTS, VARIANCE, Hints
from ckstore.codec.kinds import kind_of, mantissa_of
from ckstore.codec.levels import Level
from ckstore.codec.predict import DTYPES, MANTISSAS, WIDTHS
from ckstore.codec.sample import origin, take
from ckstore.codec.scene import Proposal, Scene, Source
from ckstore.codec.scratch import Bytes
from ckstore.format.frame import DELTA_INT, PREDICTED, ROLE_PREVIOUS

_NEAR = 1.05
"""Differences that cost so much more than the best plan may still win when they are recentred."""
_NOTHING_LEFT, _EXACT = 0.1, 2.0
"""Bits an element: of a plan that none is worth a try against; of a prediction that repeats what was done."""
_COMPANION = 1.03
"""A prediction from other tensors must save so much: each is one more chunk to read, and to keep."""
_RECENTRED, _SCALED = 1.005, 1.004
"""Recentred differences and a scale must save so much: both take longer to undo."""
_WORTH_A_SCALE = 0.5
"""A plan that leaves less than this share of an element knows more than its size."""
_ELEMENTS_A_FACTOR = 4
"""At least: more factors cost more than they can save."""
_SCALE_BYTES, _BASE_BYTES = 25, 33
"""What a frame has more for its scale, besides factors, and for each base but one."""
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
        if dtype in DTYPES:
            scene = Scene(DTYPES[dtype], hints, sources, sample)
            if ROLE_PREVIOUS in sources:
                best = _with_predicted(scene, mantissa, best)
            if hints.part in (MOMENTUM, VARIANCE):
                best = _with_scale(raw, scene, best)
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


def _with_scale(raw: Bytes, scene: Scene, best: Plan) -> Plan:
    """The best plan, or words at the scale of their row and column, over a prediction or over nothing."""
    width, n = WIDTHS[scene.dtype], len(raw) // WIDTHS[scene.dtype]
    if not 1 < scene.hints.columns <= n or best.bits < _WORTH_A_SCALE * 8 * width:
        return best
    grid = Grid(scene.hints.columns, scene.hints.first % scene.hints.columns)
    if grid.columns + grid.n_rows(n) > n // _ELEMENTS_A_FACTOR:
        return best
    with np.errstate(all="ignore"):
        plans = (_scaled(raw, scene, proposal, grid) for proposal in to_scale(scene))
        return min(best, next(plan for plan in plans if plan is not None), key=_bits)


def _scaled(raw: Bytes, scene: Scene, proposal: Proposal, grid: Grid) -> Plan | None:
    """The plan of a scale over this prediction, if that says anything."""
    predictor, width, mantissa = proposal.predictor, WIDTHS[scene.dtype], MANTISSAS[scene.dtype]
    bases = [scene.sources[role].data for role in proposal.roles]
    under = predictor.run(bases, len(raw) // width) if bases else None
    found = scale.fit(raw, under, width, mantissa, scene.hints.part == MOMENTUM, grid)
    if found is None:
        return None
    predictor = replace(predictor, scale=found[0])
    whole = predictor.at_scale(under, len(raw) // width, found[1])
    sample = predict.turned(scene.sample, predictor)
    used = tuple(scene.sources[role].position for role in proposal.roles)
    plan = delta_plan(sample, predictor.kind, used, take(whole, width))
    n_bytes = grid.columns + grid.n_rows(len(raw) // width) + _SCALE_BYTES + _BASE_BYTES * max(len(bases) - 1, 0)
    bits = plan.bits if bases else plan.bits / BIAS[DELTA_INT]  # as for planes, which need no base either
    bits = (bits + 8 * n_bytes * width / len(raw)) * _SCALED
    return replace(plan, codec=PREDICTED, predictor=predictor, factors=found[1], bits=bits)
