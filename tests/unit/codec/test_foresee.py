"""The choice with hints: each part of a training state gets the prediction that is known to be right for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ckstore.codec.chunk import Reference
from ckstore.codec.hints import AVERAGE, MOMENTUM, VARIANCE, WEIGHT, Update
from ckstore.codec.predict import ADAM, LINEAR, SECOND
from ckstore.errors import UsageError
from ckstore.format.frame import (
    CODEC_NAMES,
    ROLE_MOMENTUM,
    ROLE_MOMENTUM_BEFORE,
    ROLE_PREVIOUS,
    ROLE_VARIANCE,
    ROLE_WEIGHTS,
)
from codec_material import as_bfloat16, round_trip, view, weights
from codec_training import (
    BEFORE,
    LATER,
    LR,
    NEXT,
    Adam,
    N,
    adam,
    bits,
    descent,
    flat,
    hints_of,
    of_average,
    of_variance,
    of_weight,
    plain_bits,
    predictor_of,
    references,
    update,
)


def test_one_step_of_adam_repeats_itself() -> None:
    made = round_trip(flat(NEXT.w), "float32", of_weight(BEFORE, NEXT), hints_of(WEIGHT, update(1, 31)))
    assert (predictor_of(made).formula, made.used) == (ADAM, (0, 1, 3))
    assert bits(made) < 0.5 < 15 < plain_bits(NEXT.w, BEFORE.w)


def test_one_step_of_the_second_moment_shows_in_the_first() -> None:
    made = round_trip(flat(NEXT.v), "float32", of_variance(BEFORE, NEXT), hints_of(VARIANCE, update(1, 31)))
    assert (predictor_of(made).formula, made.used) == (SECOND, (0, 1, 2))
    assert bits(made) < 2.5 < 15 < plain_bits(NEXT.v, BEFORE.v)


def test_several_steps_of_adam_are_extrapolated() -> None:
    for known in (update(10, 40), update(None, None), None):
        made = round_trip(flat(LATER.w), "float32", of_weight(BEFORE, LATER), hints_of(WEIGHT, known))
        assert predictor_of(made).formula == ADAM
        assert made.params[-1] & 2, "steps of one size are to be recentred"
        assert bits(made) < 0.97 * plain_bits(LATER.w, BEFORE.w)


def test_weights_whose_first_moment_before_is_not_known_are_predicted_without_it() -> None:
    known = [r for r in of_weight(BEFORE, LATER) if r.role != ROLE_MOMENTUM_BEFORE]
    made = round_trip(flat(LATER.w), "float32", known, hints_of(WEIGHT, update(10, 40)))
    assert made.used in ((0, 1, 2), (0,))


def test_decayed_second_moments_need_nothing_but_themselves() -> None:
    slow = Update(beta2=(0.999,), steps=10, step=40)
    rng = np.random.default_rng(1)
    now = np.float32(0.999**10) * BEFORE.v * (1 + np.where(rng.random(BEFORE.v.shape) < 0.2, 1e-5, 0)).astype("f4")
    for known in (slow, None):
        made = round_trip(flat(now), "float32", references([(ROLE_PREVIOUS, BEFORE.v)]), hints_of(VARIANCE, known))
        assert (predictor_of(made).formula, made.used) == (LINEAR, (0,))
        assert bits(made) < 0.6 * plain_bits(now, BEFORE.v)


@pytest.mark.parametrize("part", [WEIGHT, VARIANCE])
def test_rows_that_rest_stay_as_they_are(part: str) -> None:
    before, now, later = adam(40, (30, 31, 36), lazy=True)
    for after, steps in ((now, 1), (later, 6)):
        known = of_weight(before, after) if part == WEIGHT else of_variance(before, after)
        data, base = (after.w, before.w) if part == WEIGHT else (after.v, before.v)
        made = round_trip(flat(data), "float32", known, hints_of(part, update(steps, 30 + steps)))
        if steps == 1:
            assert predictor_of(made).masked
        assert bits(made) < (2.5 if steps == 1 else 1.0 * plain_bits(data, base) + 0.01)


def test_rows_that_moved_once_in_several_steps_moved_by_one_step() -> None:
    before, now = adam(31, (30, 31), lazy=True)
    made = round_trip(flat(now.v), "float32", of_variance(before, now), hints_of(VARIANCE, update(5, 35)))
    assert (predictor_of(made).formula, predictor_of(made).masked) == (SECOND, True)
    assert bits(made) < 2.5 < 8 < plain_bits(now.v, before.v)


@pytest.mark.parametrize("nesterov", [False, True], ids=["heavy ball", "nesterov"])
def test_a_step_of_sgd_follows_from_its_buffer(nesterov: bool) -> None:
    (w0, b0), (w1, b1), (w9, b9) = descent(30, (20, 21, 29), nesterov)
    known = Update((LR,), (0.9,), nesterov=nesterov, steps=1, step=21)
    rows = [(ROLE_PREVIOUS, w0), (ROLE_MOMENTUM, b1), (ROLE_MOMENTUM_BEFORE, b0)]
    made = round_trip(flat(w1), "float32", references(rows), hints_of(WEIGHT, known))
    assert predictor_of(made).formula == LINEAR
    assert len(made.used) == (3 if nesterov else 2)
    assert bits(made) < (4 if nesterov else 0.5) < 15 < plain_bits(w1, w0)
    rows = [(ROLE_PREVIOUS, w0), (ROLE_MOMENTUM, b9), (ROLE_MOMENTUM_BEFORE, b0)]
    later = round_trip(flat(w9), "float32", references(rows), hints_of(WEIGHT, replace(known, steps=9, step=29)))
    assert bits(later) < plain_bits(w9, w0)


@pytest.mark.parametrize("decay", [0.999, 0.99, 0.9997, 0.5])
def test_an_average_of_weights_follows_from_them(decay: float) -> None:
    average = weights(N, seed=4).reshape(BEFORE.w.shape)
    after = np.float32(decay) * average + np.float32(1 - decay) * NEXT.w
    made = round_trip(flat(after), "float32", of_average(average, NEXT.w, BEFORE.w), hints_of(AVERAGE))
    assert (predictor_of(made).formula, made.used) == (LINEAR, (0, 1))
    assert bits(made) < 0.5


def test_an_average_over_several_steps_lies_between_the_weights() -> None:
    average, steps = BEFORE.w + np.float32(1e-3), adam(40, range(30, 41))
    after = average
    for state in steps[1:]:
        after = np.float32(0.99) * after + np.float32(0.01) * state.w
    made = round_trip(flat(after), "float32", of_average(average, steps[-1].w, steps[0].w), hints_of(AVERAGE))
    assert len(made.used) == 3
    assert bits(made) < 0.97 * plain_bits(after, average)


def test_chunks_of_half_width_are_predicted_from_wider_moments() -> None:
    def halves(state: Adam) -> Reference:
        return Reference(ROLE_PREVIOUS, "bfloat16", view(as_bfloat16(state.w.reshape(-1))))

    moments = of_weight(BEFORE, LATER)[1:]
    now = view(as_bfloat16(LATER.w.reshape(-1)))
    made = round_trip(now, "bfloat16", [halves(BEFORE), *moments], hints_of(WEIGHT, update(10, 40)))
    assert predictor_of(made).base_dtypes == (1, 0, 0, 0)
    assert len(made.payload) < 0.97 * len(round_trip(now, "bfloat16", [halves(BEFORE)]).payload)


def test_moments_that_hardly_help_are_not_read() -> None:
    rng = np.random.default_rng(2)
    unlike = [
        Reference(r.role, r.dtype, view(rng.permutation(np.frombuffer(r.data, "f4"))))
        for r in of_weight(BEFORE, LATER)[1:]
    ]
    made = round_trip(
        flat(LATER.w), "float32", [of_weight(BEFORE, LATER)[0], *unlike], hints_of(WEIGHT, update(10, 40))
    )
    assert (CODEC_NAMES[made.codec], made.used) == ("delta_int", (0,))


def test_companions_count_for_nothing_without_a_part_or_in_other_dtypes() -> None:
    known = of_weight(BEFORE, NEXT)
    assert CODEC_NAMES[round_trip(flat(NEXT.w), "float32", known).codec] == "delta_int"
    wide = [
        known[0],
        *(Reference(r.role, "float64", flat(np.frombuffer(r.data, "f4").astype("f8"))) for r in known[1:]),
    ]
    assert CODEC_NAMES[round_trip(flat(NEXT.w), "float32", wide, hints_of(WEIGHT, update(1, 31))).codec] == "delta_int"


def test_a_companion_of_another_length_is_a_mistake_of_the_caller() -> None:
    known = of_weight(BEFORE, NEXT)
    short = [*known[:3], Reference(ROLE_VARIANCE, "float32", known[3].data[:-4])]
    with pytest.raises(UsageError):
        round_trip(flat(NEXT.w), "float32", short, hints_of(WEIGHT, update(1, 31)))


def test_a_choice_depends_on_nothing_but_the_chunk_and_what_is_known_of_it() -> None:
    args = (flat(LATER.w), "float32", of_weight(BEFORE, LATER), hints_of(WEIGHT, update(10, 40)))
    first = round_trip(*args)
    round_trip(flat(LATER.m), "float32", (), hints_of(MOMENTUM))
    again = round_trip(*args)
    assert (first.codec, first.params, bytes(first.payload)) == (again.codec, again.params, bytes(again.payload))


def test_the_first_reference_in_a_role_is_the_one_that_counts() -> None:
    known = of_average(BEFORE.w, NEXT.w, BEFORE.w)
    after = np.float32(0.99) * BEFORE.w + np.float32(0.01) * NEXT.w
    second = Reference(ROLE_WEIGHTS, "float32", flat(LATER.w))
    assert round_trip(flat(after), "float32", [*known, second], hints_of(AVERAGE)).used == (0, 1)
