"""Whatever is proposed, and whatever hints and bases say: the chunk comes back."""

from __future__ import annotations

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from ckstore.codec import predict
from ckstore.codec.chunk import Reference
from ckstore.codec.delta import Center
from ckstore.codec.entropy import UNKNOWN
from ckstore.codec.foresee import proposals, to_scale
from ckstore.codec.hints import AVERAGE, MOMENTUM, VARIANCE, WEIGHT, Hints, Update
from ckstore.codec.predict import ADAM, LINEAR, SECOND
from ckstore.codec.sample import take
from ckstore.codec.scene import Scene, Source
from ckstore.format.frame import ROLE_PREVIOUS
from codec_material import round_trip
from codec_training import COLUMNS, LR, Floats, adam, flat, of_average, of_variance, of_weight, update

BEFORE, NEXT = adam(31, (30, 31))


def _hints(part: str, known: Update | None = None) -> Hints:
    return Hints(part, COLUMNS, 0, known)


@pytest.mark.parametrize("lazy", [False, True], ids=["all rows", "some rows"])
def test_every_proposal_brings_the_chunk_back(lazy: bool) -> None:
    before, now, later = adam(20, (12, 13, 20), lazy)
    cases = [
        (part, data, of(before, after), update(steps, 12 + steps))
        for after, steps in ((now, 1), (later, 8))
        for part, data, of in ((WEIGHT, after.w, of_weight), (VARIANCE, after.v, of_variance))
    ]
    cases.append((AVERAGE, now.w, of_average(before.w, now.m, before.m), update(1, 13)))
    cases.append((WEIGHT, now.w, of_weight(before, now)[:3], Update((LR,), (0.9,), nesterov=True, steps=1, step=13)))
    cases.append((VARIANCE, later.v, of_variance(before, later)[:1], update(8, 20)))
    formulas = set()
    for part, data, known, rule in cases:
        raw = np.frombuffer(flat(data), np.uint8)
        sources = {r.role: Source(i, 0, np.frombuffer(r.data, np.uint8)) for i, r in enumerate(known)}
        scene = Scene(0, _hints(part, rule), sources, take(raw, 4))
        found = [*proposals(scene), *(one for one in to_scale(scene) if one.roles)]
        assert found
        for predictor, roles in found:
            formulas.add((predictor.formula, len(roles), predictor.masked))
            bases, out = [sources[role].data for role in roles], np.empty(len(raw), np.uint8)
            for center in (None, Center(118, 23)):
                payload = predict.encode(raw, bases, predictor, UNKNOWN, center)
                predict.decode(predict.pack_params(predictor, center is not None), payload, bases, out)
                assert out.tobytes() == raw.tobytes()
    expected = {(ADAM, 3, False), (ADAM, 4, False), (SECOND, 3, False), *((LINEAR, n, False) for n in (1, 2, 3))}
    assert formulas >= expected | ({(ADAM, 4, True), (SECOND, 3, True)} if lazy else set())


def test_there_is_nothing_to_propose_without_what_it_takes() -> None:
    raw = np.frombuffer(flat(NEXT.w), np.uint8)
    alone = {ROLE_PREVIOUS: Source(0, 0, np.frombuffer(flat(BEFORE.w), np.uint8))}
    for part in (WEIGHT, MOMENTUM, AVERAGE):
        assert not list(proposals(Scene(0, _hints(part, update(1, 13)), alone, take(raw, 4))))


def test_a_few_elements_are_too_few_to_fit_anything() -> None:
    for part, known in ((WEIGHT, of_weight(BEFORE, NEXT)), (AVERAGE, of_average(BEFORE.w, NEXT.m, BEFORE.m))):
        few = {r.role: Source(i, 0, np.frombuffer(r.data, np.uint8)[:32]) for i, r in enumerate(known)}
        raw = np.frombuffer(flat(NEXT.w), np.uint8)[:32]
        assert not list(proposals(Scene(0, _hints(part, update(8, 20)), few, raw)))


def test_hints_that_are_nonsense_cost_nothing_but_time() -> None:
    known = Update((0.0, 1e30, -1.0), (0.0, 1.0, 2.0), (1.0, -1.0), (0.0, 1e-45), (1e9,), nesterov=True, dampening=1.0,
                   steps=1, step=3)  # fmt: skip
    for part in (WEIGHT, MOMENTUM, VARIANCE, AVERAGE, "of tomorrow"):
        for hints in (Hints(part, 7, 10**12, known), Hints(part, 10**12, 5, replace(known, steps=-3, step=-1))):
            for roles in (of_weight(BEFORE, NEXT), of_variance(BEFORE, NEXT), of_average(*BEFORE)):
                round_trip(flat(NEXT.w), "float32", roles, hints)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_special_numbers_among_the_bases_do_no_harm(dtype: str) -> None:
    rng = np.random.default_rng(3)
    odd = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-40, 3e38, -1.0], "f4")

    def spoiled(data: Floats) -> memoryview:
        made = np.where(rng.random(data.shape) < 0.1, rng.choice(odd, data.shape), data)
        with np.errstate(all="ignore"):
            return flat(made.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype))

    for part, roles in ((WEIGHT, (1, 3, 4, 5)), (VARIANCE, (1, 3, 4)), (AVERAGE, (1, 6, 7))):
        known = [
            Reference(r, dtype, spoiled(d)) for r, d in zip(roles, (BEFORE.w, NEXT.m, BEFORE.m, NEXT.v), strict=False)
        ]
        round_trip(spoiled(NEXT.w), dtype, known, _hints(part, update(1, 31)))
        round_trip(spoiled(NEXT.w), dtype, known, _hints(part))
