"""Which predictions are worth a try for a chunk, by what is known of it: formulas, bases, coefficients.

Exact ones come of the optimiser's hyper-parameters, fitted ones of the sample by least squares. Wrong proposals cost
the time of a try.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ckstore.codec.hints import AVERAGE, VARIANCE, WEIGHT, Update
from ckstore.codec.predict import ADAM, LINEAR, NONE, SECOND
from ckstore.codec.scene import MIN_ROWS, Mask, Proposal, Scene, least_squares
from ckstore.format.frame import (
    ROLE_MOMENTUM,
    ROLE_MOMENTUM_BEFORE,
    ROLE_PREVIOUS,
    ROLE_VARIANCE,
    ROLE_WEIGHTS,
    ROLE_WEIGHTS_BEFORE,
)

_EPS = 1e-8
_ENVELOPE = 0.01
"""Share of the ratios that a lower bound of all may leave out: roundings, and what did not follow the rule."""


def proposals(scene: Scene) -> Iterator[Proposal]:
    """What to try, the most promising first: who is content with one need not take the next."""
    if scene.hints.part == WEIGHT and scene.has(ROLE_MOMENTUM):
        yield from _adam(scene) if scene.has(ROLE_VARIANCE) else _descent(scene)
    elif scene.hints.part == VARIANCE:
        yield from _second(scene)
        yield from _decayed(scene)
    elif scene.hints.part == AVERAGE and scene.has(ROLE_WEIGHTS):
        yield from _average(scene)


def _adam(scene: Scene) -> Iterator[Proposal]:
    update, roles = scene.hints.update, (ROLE_PREVIOUS, ROLE_MOMENTUM, ROLE_VARIANCE)
    if update is not None and update.steps == 1 and update.step is not None and update.step > 0:
        exact = [scene.proposal(ADAM, roles, numbers) for numbers in _adam_rules(update, update.step)]
        for proposal in scene.closest(exact):
            yield from _masked(scene, proposal)
            yield proposal
    fitted = _fitted_adam(scene, None)
    if scene.resting is not None:
        yield from _masked(scene, _fitted_adam(scene, scene.few_moving) or fitted)
    if fitted is not None:
        yield fitted


def _adam_rules(update: Update, step: int) -> Iterator[tuple[float, ...]]:
    """Coefficients of one step, for weights that decay by themselves and for others."""
    for rule in update.rules():
        if 0 < rule.beta1 < 1 and 0 < rule.beta2 < 1:
            root = (1 - rule.beta2**step) ** 0.5
            for decay in dict.fromkeys((1 - rule.lr * rule.weight_decay, 1.0)):
                yield decay, -rule.lr / (1 - rule.beta1**step), 0.0, root, rule.eps


def _fitted_adam(scene: Scene, moved: Mask | None) -> Proposal | None:
    """Least squares of the change over what one step did, what it did before, and the decay."""
    roles = [ROLE_PREVIOUS, ROLE_MOMENTUM, ROLE_VARIANCE, ROLE_MOMENTUM_BEFORE]
    roles = roles if scene.has(ROLE_MOMENTUM_BEFORE) else roles[:3]
    eps = scene.hints.update.eps[0] if scene.hints.update and scene.hints.update.eps else _EPS
    before, root = scene.few(ROLE_PREVIOUS), np.sqrt(scene.few(ROLE_VARIANCE)) + np.float32(eps)
    columns = [before, *(scene.few(role) / root for role in (ROLE_MOMENTUM, ROLE_MOMENTUM_BEFORE) if role in roles)]
    found = least_squares(columns, scene.few_now - before, moved)
    if found is None:
        return None
    decay, step1, step0 = 1 + found[0], found[1], found[2] if len(found) > 2 else 0.0
    return scene.proposal(ADAM, tuple(roles), (decay, step1, step0, 1.0, eps))


def _descent(scene: Scene) -> Iterator[Proposal]:
    """SGD with momentum, whose buffer stands in the role of the first moment (Sutskever et al. 2013 for Nesterov's)."""
    update, with_before = scene.hints.update, scene.has(ROLE_MOMENTUM_BEFORE)
    roles = (ROLE_PREVIOUS, ROLE_MOMENTUM, ROLE_MOMENTUM_BEFORE)[: 2 + with_before]
    if update is not None and update.steps == 1:
        exact = [
            scene.proposal(LINEAR, roles[: len(numbers)], numbers)
            for numbers in _descent_rules(update)
            if len(numbers) <= len(roles)
        ]
        yield from scene.closest(exact)
    before = scene.few(ROLE_PREVIOUS)
    found = least_squares([before, *(scene.few(role) for role in roles[1:])], scene.few_now - before, None)
    if found is not None:
        yield scene.proposal(LINEAR, roles, (1 + found[0], *found[1:]))


def _descent_rules(update: Update) -> Iterator[tuple[float, ...]]:
    for rule in update.rules():
        for decay in dict.fromkeys((1.0, 1 - rule.lr * rule.weight_decay)):
            if update.nesterov and update.dampening < 1:
                fresh = 1 / (1 - update.dampening)
                yield decay, -rule.lr * (rule.beta1 + fresh), rule.lr * rule.beta1 * fresh
            else:
                yield decay, -rule.lr


def _second(scene: Scene) -> Iterator[Proposal]:
    """One step of the second moment, with the gradient that the first moments show."""
    update, roles = scene.hints.update, (ROLE_PREVIOUS, ROLE_MOMENTUM, ROLE_MOMENTUM_BEFORE)
    # Of rows that rest at most steps, those that moved did so once as a rule, however many steps there were.
    once = update is not None and (update.steps == 1 or scene.resting is not None)
    if update is not None and once and scene.has(*roles):
        betas = dict.fromkeys((rule.beta1, rule.beta2) for rule in update.rules())
        exact = [
            scene.proposal(SECOND, roles, (beta2, 1 - beta2, 1 - beta1))
            for beta1, beta2 in betas
            if 0 < beta1 < 1 and 0 < beta2 < 1
        ]
        for proposal in scene.closest(exact):
            yield from _masked(scene, proposal)
            yield proposal


def _decayed(scene: Scene) -> Iterator[Proposal]:
    """The second moment without what came since: none is far below beta2^steps of what it was."""
    update, factors = scene.hints.update, list[float]()
    if update is not None and update.steps and update.steps > 0:
        factors = [beta2**update.steps for beta2 in dict.fromkeys(update.beta2) if 0 < beta2 < 1]
    before = scene.few(ROLE_PREVIOUS)
    ratios = (scene.few_now / before)[before > 0]
    if len(ratios) >= MIN_ROWS:
        place = int(_ENVELOPE * len(ratios))
        factors.append(float(np.partition(ratios, place)[place]))
    for factor in factors:
        if 0 < factor < 1:
            yield scene.proposal(LINEAR, (ROLE_PREVIOUS,), (factor,))


def to_scale(scene: Scene) -> Iterator[Proposal]:
    """What the words of a moment may be near a multiple of, the best first."""
    if scene.hints.part == VARIANCE and scene.has(ROLE_PREVIOUS):
        yield _at_least(scene) or scene.proposal(LINEAR, (ROLE_PREVIOUS,), (1.0,))
    yield scene.proposal(NONE, (), ())


def _at_least(scene: Scene) -> Proposal | None:
    """The least that the second moment can be after some steps: what is left of it, and the squares of gradients that
    add up to what is new in the first moment, if each had its share.

    m = beta1^k m' + (1 - beta1) sum of beta1^j g_j, and the same with beta2 for v and the squares; by the inequality of
    Cauchy and Schwarz the sum of beta2^j g_j^2 is no less than (sum of beta1^j g_j)^2 / sum of (beta1^2 / beta2)^j.
    """
    update, roles = scene.hints.update, (ROLE_PREVIOUS, ROLE_MOMENTUM, ROLE_MOMENTUM_BEFORE)
    if update is None or not update.steps or update.steps < 1 or not scene.has(*roles):
        return None
    steps = update.steps
    for rule in update.rules():
        if 0 < rule.beta1 < 1 and 0 < rule.beta2 < 1:
            inner, ratio = 1 - rule.beta1**steps, rule.beta1**2 / rule.beta2
            if ratio >= 1 and steps > 1:  # then what is new in the first moment shows little, and powers overflow
                continue
            spread = 1.0 if steps == 1 else (1 - ratio**steps) / (1 - ratio)
            gain = (1 - rule.beta2) / spread * (inner / (1 - rule.beta1)) ** 2
            return scene.proposal(SECOND, roles, (rule.beta2**steps, gain, inner))
    return None


def _average(scene: Scene) -> Iterator[Proposal]:
    """A moving average of weights: of one update with a decay people write down, or over several, fitted."""
    roles = (ROLE_PREVIOUS, ROLE_WEIGHTS)
    before, weights = scene.few(ROLE_PREVIOUS), scene.few(ROLE_WEIGHTS)
    found = least_squares([weights - before], scene.few_now - before, None)
    if found is not None and found[0]:
        shares = dict.fromkeys((*(float(f"{found[0]:.{digits}g}") for digits in (1, 2, 3, 4)), found[0]))
        yield from scene.closest([scene.proposal(LINEAR, roles, (1 - share, share)) for share in shares])
    if scene.has(ROLE_WEIGHTS_BEFORE):
        earlier = scene.few(ROLE_WEIGHTS_BEFORE)
        found = least_squares([weights - before, earlier - before], scene.few_now - before, None)
        if found is not None:
            numbers = (1 - found[0] - found[1], *found)
            yield scene.proposal(LINEAR, (*roles, ROLE_WEIGHTS_BEFORE), numbers)


def _masked(scene: Scene, proposal: Proposal | None) -> Iterator[Proposal]:
    """The same for all but what rests, where much rests."""
    if proposal is not None and scene.resting is not None:
        roles, predictor = proposal.roles, proposal.predictor
        if predictor.formula == ADAM and ROLE_MOMENTUM_BEFORE not in roles:
            roles = (*roles, ROLE_MOMENTUM_BEFORE)
        made = scene.proposal(predictor.formula, roles, predictor.coefficients)
        yield Proposal(replace(made.predictor, masked=True), roles)
