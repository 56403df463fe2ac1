"""The choice for moments: the scale of rows and columns, and what it is over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ckstore.codec.foresee import to_scale
from ckstore.codec.hints import MOMENTUM, VARIANCE
from ckstore.codec.predict import LINEAR, NONE, SECOND
from ckstore.codec.sample import take
from ckstore.codec.scene import Scene, Source
from ckstore.codec.scratch import as_bytes
from ckstore.format.frame import (
    CODEC_NAMES,
)
from codec_material import as_bfloat16, round_trip, view
from codec_training import (
    BEFORE,
    LATER,
    NEXT,
    N,
    bits,
    flat,
    hints_of,
    of_variance,
    plain_bits,
    predictor_of,
    update,
)


def test_moments_of_a_matrix_are_at_the_scale_of_rows_and_columns() -> None:
    for part, data in ((MOMENTUM, LATER.m), (VARIANCE, LATER.v)):
        plain = round_trip(flat(data), "float32")
        made = round_trip(flat(data), "float32", (), hints_of(part))
        at_scale = predictor_of(made).scale
        assert at_scale is not None
        assert (predictor_of(made).formula, at_scale.turned) == (NONE, part == MOMENTUM)
        assert bits(made) < bits(plain) - 0.9
        rounded = as_bfloat16(data.reshape(-1))
        assert predictor_of(round_trip(view(rounded), "bfloat16", (), hints_of(part))).scale is not None


def test_a_matrix_without_structure_has_no_scale() -> None:
    made = round_trip(flat(BEFORE.w), "float32", (), hints_of(MOMENTUM))
    assert CODEC_NAMES[made.codec] == "planes"


def test_a_second_moment_is_at_scale_over_what_is_left_of_it_and_what_the_first_ones_show() -> None:
    known = of_variance(BEFORE, LATER)
    alone = round_trip(flat(LATER.v), "float32", known[:1], hints_of(VARIANCE, update(10, 40)))
    made = round_trip(flat(LATER.v), "float32", known, hints_of(VARIANCE, update(10, 40)))
    assert [predictor_of(one).formula for one in (alone, made)] == [LINEAR, SECOND]
    assert predictor_of(made).scale is not None
    assert bits(made) + 0.1 < min(bits(alone), plain_bits(LATER.v, BEFORE.v))


def test_a_second_moment_of_which_little_moved_is_what_is_left_of_it() -> None:
    left = BEFORE.v * np.float32(0.999)
    left[::17] = LATER.v[::17]
    moments = of_variance(BEFORE, LATER)
    made = round_trip(flat(left), "float32", moments, hints_of(VARIANCE, replace(update(2, 32), beta2=(0.999**0.5,))))
    assert (predictor_of(made).formula, predictor_of(made).scale) == (LINEAR, None)
    assert bits(made) < 4


@pytest.mark.parametrize("betas", [(0.99, 0.9), (0.9, 0.5), (0.9, 1e-9), (0.9999, 1e-300), (0.5, 0.25), (0.0, 1.0)])
@pytest.mark.parametrize("steps", [1, 2, 40, 2000, 300_000, 1 << 62])
def test_no_hyper_parameters_and_no_number_of_steps_stop_a_save(betas: tuple[float, float], steps: int) -> None:
    known = replace(update(steps, steps), beta1=(betas[0],), beta2=(betas[1],))
    round_trip(flat(LATER.v), "float32", of_variance(BEFORE, LATER), hints_of(VARIANCE, known))


def test_what_a_second_moment_is_at_least_is_exact_after_one_step() -> None:
    sources = {
        reference.role: Source(i, 0, as_bytes(reference.data)) for i, reference in enumerate(of_variance(BEFORE, NEXT))
    }
    sample = take(as_bytes(flat(NEXT.v)), 4)
    for steps, later in ((1, NEXT), (10, LATER)):
        scene = Scene(0, hints_of(VARIANCE, update(steps, 30 + steps)), sources, sample)
        proposal = next(iter(to_scale(scene)))
        bases = [as_bytes(flat(x)) for x in (BEFORE.v, later.m, BEFORE.m)]
        least = proposal.predictor.run(bases, N).view("<f4").reshape(later.v.shape)
        assert (least <= later.v * 1.0001).mean() > 0.999
        assert steps > 1 or (least >= later.v * 0.9999).mean() > 0.999
