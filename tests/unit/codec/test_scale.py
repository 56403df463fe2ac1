"""Scales: what the words of a moment are near, that chunks come back from any scale, and what is refused."""

from __future__ import annotations

import itertools
import struct
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from ckstore.codec import entropy, predict, scale
from ckstore.codec.chunk import decode_into
from ckstore.codec.entropy import UNKNOWN
from ckstore.codec.factors import Factors, Grid
from ckstore.codec.predict import LINEAR, MANTISSAS, NONE, SECOND, WIDTHS, Predictor
from ckstore.codec.scale import Scale
from ckstore.codec.scratch import Bytes, as_bytes
from ckstore.errors import CkError, FormatError, UnsupportedError
from ckstore.format.frame import PREDICTED
from tests.support import kernel_model

NAMES = ("float32", ml_dtypes.bfloat16, "float16")
PREDICTORS = [
    Predictor(NONE, 0, (), ()),
    Predictor(NONE, 1, (), ()),
    Predictor(LINEAR, 2, (0,), (1.0,)),
    Predictor(LINEAR, 0, (1, 2), (1.0, 0.5)),
    Predictor(SECOND, 0, (0, 0, 0), (0.5, 0.25, 0.125)),
    Predictor(SECOND, 1, (1, 0, 0), (0.5, 0.25, 0.125), masked=True),
]
GRIDS = [(1, 1, 0), (7, 7, 6), (10, 3, 2), (12, 4, 1), (600, 37, 20), (600, 600, 1), (601, 599, 0), (1000, 2, 1)]


def _chunk(dtype: int, n: int, seed: int) -> Bytes:
    rng = np.random.default_rng([n, seed])
    values = (rng.standard_normal(n) * 2.0 ** rng.integers(-20, 4, n)).astype("f4")
    values[rng.random(n) < 0.1] = rng.choice(np.array([0.0, -0.0, np.nan, np.inf, 1e-45, 3e38], "f4"))
    with np.errstate(all="ignore"):
        return as_bytes(values.astype(NAMES[dtype]).tobytes())


def _any(n: int, grid: Grid, turned: bool) -> tuple[Scale, Factors]:
    rng = np.random.default_rng([n, *grid, turned])
    rows, columns = (rng.integers(-128, 128, size, np.int8) for size in (grid.n_rows(n), grid.columns))
    numbers = int(rng.integers(0, 1 << 32)), int(rng.integers(0, 1 << 32)), int(rng.integers(0, 8))
    return Scale(*numbers, turned, grid), Factors(grid, rows, columns)


@pytest.mark.parametrize("number", range(len(PREDICTORS)))
@pytest.mark.parametrize("cut", GRIDS, ids=str)
@pytest.mark.parametrize("turned", [False, True])
def test_chunks_come_back_from_any_scale(number: int, cut: tuple[int, int, int], turned: bool) -> None:
    n, grid = cut[0], Grid(*cut[1:])
    made, factors = _any(n, grid, turned)
    p = replace(PREDICTORS[number], scale=made)
    params = predict.pack_params(p, False)
    assert predict.parse_params(params) == (p, False)
    bases = [_chunk(dtype, n, i) for i, dtype in enumerate(p.base_dtypes)]
    raw, out = _chunk(p.dtype, n, 9), bytearray(n * WIDTHS[p.dtype])
    payload = predict.encode(raw, bases, p, UNKNOWN, None, sides=factors).copy()
    decode_into(PREDICTED, params, memoryview(payload), [base.data for base in bases], memoryview(out))
    assert out == raw.tobytes()


@pytest.mark.parametrize("turned", [False, True])
def test_what_a_prediction_is_at_scale(kernel_variant: str, turned: bool) -> None:
    for p, (n, *cut) in itertools.product(PREDICTORS, GRIDS):
        made, factors = _any(n, Grid(*cut), turned)
        bases = [_chunk(dtype, n, i) for i, dtype in enumerate(p.base_dtypes)]
        plain = p.run(bases, n).tobytes() if bases else None
        found = replace(p, scale=made).whole(bases, n, factors)
        numbers = kernel_model.Scale(made.slope, made.origin, MANTISSAS[p.dtype] - made.unit, turned)
        sides = factors.rows.tolist(), factors.columns.tolist()
        expected = kernel_model.scaled(plain, n, WIDTHS[p.dtype], numbers, kernel_model.Matrix(*cut), *sides)
        assert found.tobytes() == expected


def _sizes(rows: int, columns: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.outer(2.0 ** rng.normal(0, 1, rows), 2.0 ** rng.normal(0, 1, columns))


@pytest.mark.parametrize("start", [0, 13])
def test_a_scale_finds_the_sizes_of_rows_and_columns(start: int) -> None:
    rng = np.random.default_rng(2)
    values = (_sizes(60, 80) * rng.uniform(1, 1.1, (60, 80))).astype("f4").reshape(-1)[start:-7]
    raw, grid = as_bytes(values.tobytes()), Grid(80, start)
    found = scale.fit(raw, None, 4, 23, False, grid)
    assert found is not None
    near = replace(Predictor(NONE, 0, (), ()), scale=found[0]).whole([], len(values), found[1])
    words = near.view("<u4").astype(np.int64) - values.view("<u4")
    assert np.std(words) < 0.12 * 2**23
    assert (found[0].slope, found[0].grid) == (0, grid)


def test_a_scale_finds_the_slope_over_what_was_before() -> None:
    rng = np.random.default_rng(3)
    kept, sizes = rng.normal(0, 0.5, (64, 96)), _sizes(64, 96)
    before = (sizes * 2.0**kept).astype("f4").reshape(-1)
    now = (3 * _sizes(64, 96, 2) * 2.0 ** (0.75 * kept)).astype("f4").reshape(-1)
    found = scale.fit(as_bytes(now.tobytes()), as_bytes(before.tobytes()), 4, 23, False, Grid(96, 0))
    assert found is not None
    assert abs(found[0].slope / 65536 - 0.75) < 0.05  # words are pieces of straight lines
    p = Predictor(LINEAR, 0, (0,), (1.0,), scale=found[0])
    words = p.whole([as_bytes(before.tobytes())], len(now), found[1]).view("<u4").astype(np.int64) - now.view("<u4")
    assert np.std(words) < 0.1 * 2**23


def test_what_says_nothing_is_no_base_of_a_scale() -> None:
    rng = np.random.default_rng(4)
    one, other = (as_bytes(np.exp(rng.normal(size=(64, 64))).astype("f4").tobytes()) for _ in range(2))
    assert scale.fit(one, other, 4, 23, False, Grid(64, 0)) is None
    assert scale.fit(one, as_bytes(bytes(len(one))), 4, 23, False, Grid(64, 0)) is None


@pytest.mark.parametrize("grid", [Grid(4096, 0), Grid(2048, 2047), Grid(2047, 1), Grid(3, 2)], ids=str)
def test_any_cut_of_a_matrix_has_a_scale(grid: Grid) -> None:
    raw = as_bytes(np.random.default_rng(5).normal(size=4096).astype("f4").tobytes())
    for under in (None, raw):
        found = scale.fit(raw, under, 4, 23, True, grid)
        assert found is not None
        assert (len(found[1].rows), len(found[1].columns)) == (grid.n_rows(4096), grid.columns)


def test_sizes_beyond_all_bounds_are_cut() -> None:
    values = np.repeat(np.array([1e-30, 1e30], "f4"), 50)
    found = scale.fit(as_bytes(values.tobytes()), None, 4, 23, False, Grid(50, 0))
    assert found is not None
    assert found[0].unit == 0
    assert found[1].rows.tolist() == [-100, 100]
    halves = as_bytes(np.repeat(np.array([0, 0xFFFF], "<u2"), 50).tobytes())
    found = scale.fit(halves, None, 2, 7, False, Grid(50, 0))
    assert found is not None
    assert (found[0].unit, found[1].rows.tolist()) == (0, [-128, 127])


SCALED = predict.pack_params(Predictor(NONE, 1, (), (), scale=Scale(0, 0, 3, True, Grid(10, 0))), False)


def test_finer_factors_than_a_word_has_are_unsupported() -> None:
    unit = 4 + 8
    assert SCALED[unit] == 3
    for n, dtype in ((8, 1), (255, 1), (8, 0), (8, 2)):
        params = SCALED[:1] + bytes([dtype]) + SCALED[2:unit] + bytes([n]) + SCALED[unit + 1 :]
        with pytest.raises(UnsupportedError):
            predict.parse_params(params)


def test_turned_differences_are_of_integers_others_of_floats_and_none_of_nothing() -> None:
    nothing = predict.pack_params(Predictor(NONE, 1, (), ()), False)
    for params in (SCALED[:-1] + b"\1", SCALED[:2] + b"\2" + SCALED[3:], nothing):
        with pytest.raises(FormatError):
            predict.parse_params(params)


@pytest.mark.parametrize("grid", [(0, 0), (101, 0), (10, 10), (10, 4_000_000_000), (4_000_000_000, 0)], ids=str)
def test_a_matrix_that_does_not_fit_is_refused_before_memory_is_taken_for_it(grid: tuple[int, int]) -> None:
    constant = (entropy.CONSTANT, as_bytes(b"\0"))
    payload = as_bytes(entropy.heads([constant] * 4) + bytes(4))
    params = SCALED[:-11] + struct.pack("<II", *grid) + SCALED[-3:]
    with pytest.raises(FormatError):
        decode_into(PREDICTED, params, payload.data, [], memoryview(bytearray(200)))


def test_any_byte_of_a_scaled_chunk_may_be_anything() -> None:
    n, grid = 40, Grid(7, 3)
    for p, turned in itertools.product(PREDICTORS, (False, True)):
        made, factors = _any(n, grid, turned)
        p = replace(p, scale=made)
        bases = [_chunk(dtype, n, i) for i, dtype in enumerate(p.base_dtypes)]
        views, raw = [base.data for base in bases], _chunk(p.dtype, n, 9)
        params, payload = predict.pack_params(p, False), predict.encode(raw, bases, p, UNKNOWN, None, sides=factors)
        for at, value in itertools.product(range(len(params) + 25), (0, 1, 2, 4, 6, 0x7F, 0x80, 0xFF)):
            whole = bytearray(params + payload.tobytes())
            whole[at] = value
            head, rest = bytes(whole[: len(params)]), memoryview(bytes(whole[len(params) :]))
            try:
                decode_into(PREDICTED, head, rest, views, memoryview(bytearray(len(raw))))
            except CkError:
                continue
