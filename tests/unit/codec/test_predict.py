"""Predictions: what they are, that chunks come back from them, and what is refused."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator

import ml_dtypes
import numpy as np
import pytest

from ckstore.codec import predict
from ckstore.codec.chunk import decode_into
from ckstore.codec.delta import Center
from ckstore.codec.entropy import UNKNOWN
from ckstore.codec.predict import ADAM, LINEAR, SECOND, Predictor
from ckstore.codec.scratch import Bytes, as_bytes
from ckstore.errors import CkError, FormatError, UnsupportedError
from ckstore.format.frame import PREDICTED
from tests.support import kernel_model

NAMES = ("float32", ml_dtypes.bfloat16, "float16")
MANTISSAS = (23, 7, 10)
ODD = np.array(
    [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-40, 3e38, -3e38, 6e-8, 65504.0, 1.0, -1.0], "f4"
)


def _numbers(dtype: int, n: int, seed: int, positive: bool = False) -> Bytes:
    rng = np.random.default_rng([n, seed])
    values = (rng.standard_normal(n) * 2.0 ** rng.integers(-20, 4, n)).astype("f4")
    values = np.where(rng.random(n) < 0.2, rng.choice(ODD, n), np.abs(values) if positive else values)
    with np.errstate(all="ignore"):
        return as_bytes(values.astype(NAMES[dtype]).tobytes())


def _predictors() -> Iterator[Predictor]:
    """Every formula, number of bases and mask, with dtypes in turn."""
    dtypes = itertools.cycle([(0, 0, 0, 0), (1, 1, 1, 1), (2, 2, 2, 2), (1, 0, 0, 2), (2, 1, 0, 1)])
    out = itertools.cycle([0, 1, 2, 0])
    for n_bases in (1, 2, 3, 4):
        for _ in range(3):
            yield Predictor(LINEAR, next(out), next(dtypes)[:n_bases], (0.75, -0.5, 1.25, 3.0)[:n_bases])
    adam = tuple(float(np.float32(c)) for c in (0.9999, -1e-3, 2e-4, 0.7, 1e-8))
    for n_bases, masked in ((3, False), (4, False), (4, True)) * 3:
        yield Predictor(ADAM, next(out), next(dtypes)[:n_bases], adam, masked)
    for masked in (False, True) * 3:
        yield Predictor(SECOND, next(out), next(dtypes)[:3], (0.5, 0.25, 0.125), masked)


PREDICTORS = list(_predictors())


def _bases(predictor: Predictor, n: int) -> list[Bytes]:
    """Bases in which the two first moments rest at a third of the places, if their dtypes are the same."""
    made = [_numbers(dtype, n, i, positive=i == 2) for i, dtype in enumerate(predictor.base_dtypes)]
    if predictor.masked:
        at = 3 if predictor.formula == ADAM else 2
        if predictor.base_dtypes[1] == predictor.base_dtypes[at]:
            width = predict.WIDTHS[predictor.base_dtypes[at]]
            rows = made[at].reshape(-1, width).copy()
            rows[::3] = made[1].reshape(-1, width)[::3]
            made[at] = rows.reshape(-1)
    return made


@pytest.mark.parametrize("number", range(len(PREDICTORS)))
def test_a_prediction_is_what_its_formula_says(kernel_variant: str, number: int) -> None:
    p = PREDICTORS[number]
    for n in (0, 1, 7, 255, 1031):
        bases = _bases(p, n)
        expected = kernel_model.predict(p.formula, bases, p.base_dtypes, p.coefficients, p.masked, p.dtype)
        assert p.run(bases, n).tobytes() == expected


@pytest.mark.parametrize("number", range(len(PREDICTORS)))
@pytest.mark.parametrize("recentred", [False, True])
def test_chunks_come_back_from_any_prediction(number: int, recentred: bool) -> None:
    p = PREDICTORS[number]
    assert predict.parse_params(predict.pack_params(p, recentred)) == (p, recentred)
    for n in (0, 1, 300):
        bases, raw = _bases(p, n), _numbers(p.dtype, n, 9)
        center = Center(100 if p.dtype < 2 else 10, MANTISSAS[p.dtype]) if recentred else None
        payload = predict.encode(raw, bases, p, UNKNOWN, center)
        out = bytearray(len(raw))
        params = predict.pack_params(p, recentred)
        decode_into(PREDICTED, params, memoryview(payload.copy()), [base.data for base in bases], memoryview(out))
        assert out == raw.tobytes()


GOOD = predict.pack_params(PREDICTORS[0], False)


def _changed(at: int, value: int, params: bytes = GOOD) -> bytes:
    return params[:at] + bytes([value]) + params[at + 1 :]


@pytest.mark.parametrize(
    "params",
    [_changed(0, 4), _changed(0, 255), _changed(1, 3), _changed(2, 4), _changed(2, 8), _changed(2, 0x81),
     _changed(4, 3), _changed(9, 1),
     _changed(11, 4)],
    ids=["predictor", "last predictor", "dtype", "turned alone", "flag", "flags", "dtype of a base", "layout",
         "flags of differences"],
)  # fmt: skip
def test_parameters_of_a_newer_version_are_unsupported(params: bytes) -> None:
    with pytest.raises(UnsupportedError):
        predict.parse_params(params)


def _with_bases(formula: int, n_bases: int, flags: int = 0) -> bytes:
    n_numbers = {LINEAR: n_bases, ADAM: 5, SECOND: 3}[formula]
    head = struct.pack("<BBBB", formula, 0, flags, n_bases) + bytes(n_bases)
    return head + struct.pack(f"<{n_numbers}f", *range(n_numbers)) + b"\0\4\1"


@pytest.mark.parametrize(
    "params",
    [
        *(GOOD[:n] for n in range(len(GOOD))),
        GOOD + b"\0",
        _with_bases(LINEAR, 0),
        _with_bases(LINEAR, 5),
        _with_bases(ADAM, 2),
        _with_bases(ADAM, 5),
        _with_bases(SECOND, 2),
        _with_bases(SECOND, 4),
        _with_bases(LINEAR, 3, 1),
        _with_bases(ADAM, 3, 1),
        _changed(len(GOOD) - 1, 0),
        _changed(0, 0),
        _changed(2, 2),
        _changed(len(GOOD) - 2, 2),
    ],
    ids=lambda params: params.hex() or "none",
)
def test_malformed_parameters_are_refused(params: bytes) -> None:
    with pytest.raises(FormatError):
        predict.parse_params(params)


def test_any_byte_of_the_parameters_may_be_anything() -> None:
    for p in PREDICTORS:
        bases, raw = _bases(p, 40), _numbers(p.dtype, 40, 9)
        params, payload = predict.pack_params(p, False), predict.encode(raw, bases, p, UNKNOWN, None)
        for at, value in itertools.product(range(len(params)), (0, 1, 2, 3, 4, 5, 8, 0x7F, 0x80, 0xFF)):
            out = bytearray(len(raw))
            try:
                views = [base.data for base in bases]
                decode_into(PREDICTED, _changed(at, value, params), payload.data, views, memoryview(out))
            except CkError:
                continue


def test_bases_and_chunks_that_do_not_fit_are_refused() -> None:
    p = Predictor(LINEAR, 0, (0, 1), (1.0, 1.0))
    bases, raw = _bases(p, 50), _numbers(0, 50, 9)
    params, payload = predict.pack_params(p, False), predict.encode(raw, bases, p, UNKNOWN, None)
    one, other = bases
    for bad in ([one], [one, other, other], [other, one], [one[:-4], other], [one, other[:-2]], [one, one]):
        with pytest.raises(FormatError):
            decode_into(PREDICTED, params, payload.data, [b.data for b in bad], memoryview(bytearray(200)))
    for n_bytes in (0, 196, 199, 201, 204):
        with pytest.raises(FormatError):
            decode_into(PREDICTED, params, payload.data, [b.data for b in bases], memoryview(bytearray(n_bytes)))


def test_coefficients_may_be_any_numbers() -> None:
    for value in (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 3e38):
        for formula, n_numbers in ((LINEAR, 4), (ADAM, 5), (SECOND, 3)):
            p = Predictor(formula, 0, (0,) * min(n_numbers, 4), (float(np.float32(value)),) * n_numbers)
            bases, raw = _bases(p, 64), _numbers(0, 64, 9)
            params, payload = predict.pack_params(p, False), predict.encode(raw, bases, p, UNKNOWN, None)
            out = bytearray(len(raw))
            decode_into(PREDICTED, params, payload.data, [b.data for b in bases], memoryview(out))
            assert out == raw.tobytes()
