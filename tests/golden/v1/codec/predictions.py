"""Golden frames of recentred differences, of planes with factors, and of predictions; see regenerate.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ckstore.codec import delta, entropy, factors, planes, predict
from ckstore.codec.delta import Center
from ckstore.codec.entropy import Stats
from ckstore.codec.factors import Grid
from ckstore.codec.kinds import Kind
from ckstore.codec.planes import Shape
from ckstore.codec.predict import ADAM, LINEAR, SECOND, Predictor
from ckstore.format.frame import DELTA_INT, PLANES, PREDICTED

Made = tuple[str, int, bytes, bytes, bytes, tuple[bytes, ...]]
"""What it shows, codec, parameters, payload, chunk, bases."""
Floats = npt.NDArray[np.float64]
FLOAT32, BFLOAT16, FLOAT16, FLOAT64 = 0, 1, 2, 3
MANTISSA = (23, 7, 10, 52)
SKEWED = Stats(3.0, 0, 0.0)


def _as(values: Floats, dtype: int) -> bytes:
    with np.errstate(over="ignore"):
        single = values.astype("<f4")
        return (single, single.view("<u2")[1::2], values.astype("<f2"), values)[dtype].tobytes()


def _bytes(data: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def _recentred(shows: str, dtype: int, origin: int) -> Made:
    """Every class: steps of all sizes from numbers of all sizes, zeros and special ones among them."""
    rng = np.random.default_rng(10)
    before = rng.standard_normal(400) * 2.0 ** rng.integers(-6, 6, 400)
    now = before + rng.choice([0, 1, -1], 400) * 2.0 ** rng.uniform(-18, 6, 400)
    before[::29], now[::31], now[::37] = 0.0, np.inf, np.nan
    raw, base = _as(now, dtype), _as(before, dtype)
    kind = Kind(len(raw) // 400, True)
    payload = delta.encode(_bytes(raw), _bytes(base), kind, entropy.UNKNOWN, False, Center(origin, MANTISSA[dtype]))
    return shows, DELTA_INT, delta.pack_params(kind, True), payload.tobytes(), raw, (base,)


def _factored(shows: str, dtype: int, columns: int, start: int) -> Made:
    rng = np.random.default_rng(11)
    sizes = np.outer(2.0 ** rng.normal(0, 3, 14), 2.0 ** rng.normal(0, 3, columns)).reshape(-1)
    values = (rng.standard_normal(len(sizes)) * sizes)[start:][: 12 * columns + 5]
    raw, n = _as(values, dtype), len(values)
    width = len(raw) // n
    found = factors.of_exponents((values.astype("<f4").view("<u4") >> 23).astype("u1"), Grid(columns, start))
    shape = Shape(width, True, (), found.grid)
    payload = planes.encode(_bytes(raw), None, shape, [SKEWED] * width, False, found)
    return shows, PLANES, planes.pack_params(shape), payload.tobytes(), raw, ()


def _predicted(shows: str, predictor: Predictor, origin: int | None = None) -> Made:
    """A chunk near its prediction; special numbers among the bases, and moments that rest (the second and the last)."""
    rng, rows = np.random.default_rng(12), list[Floats]()
    for i in range(len(predictor.base_dtypes)):
        values = rng.standard_normal(300) * (1e-3 if i else 1.0)
        values[i * 7 :: 41] = np.resize([0.0, -0.0, np.inf, np.nan, 1e-41, -3e38], len(values[i * 7 :: 41]))
        rows.append(np.abs(values) if i == 2 and predictor.formula == ADAM else values)
    if len(rows) > 2:
        rows[-1] = np.where(rng.random(300) < 0.3, rows[1], rows[-1])
    bases = [_as(values, dtype) for values, dtype in zip(rows, predictor.base_dtypes, strict=True)]
    under = predictor.run([_bytes(base) for base in bases], 300).view(f"<u{predictor.kind.width}")
    raw = (under + (rng.integers(0, 90, 300) * (rng.random(300) < 0.6)).astype(under.dtype)).tobytes()
    center = None if origin is None else Center(origin, MANTISSA[predictor.dtype])
    payload = predict.encode(_bytes(raw), [_bytes(base) for base in bases], predictor, entropy.UNKNOWN, center)
    params = predict.pack_params(predictor, center is not None)
    return shows, PREDICTED, params, payload.tobytes(), raw, tuple(bases)


def _exactly(*coefficients: float) -> tuple[float, ...]:
    return tuple(float(np.float32(c)) for c in coefficients)


STEP, STEPS = _exactly(0.9999, -1e-3, 0, 0.97, 1e-8), _exactly(0.9999, -1e-3, 2.5e-4, 1, 1e-8)
BETAS = _exactly(0.95, 0.05, 0.1)

MAKERS: dict[str, Callable[[], Made]] = {
    "recentred-float32": lambda: _recentred("float32 differences, recentred", FLOAT32, 122),
    "recentred-bfloat16": lambda: _recentred("bfloat16 differences, recentred", BFLOAT16, 118),
    "recentred-float16": lambda: _recentred("float16 differences, recentred", FLOAT16, 9),
    "recentred-float64": lambda: _recentred("float64 differences, recentred", FLOAT64, 1050),
    "factors-float32": lambda: _factored("float32 less factors", FLOAT32, 31, 0),
    "factors-bfloat16": lambda: _factored("bfloat16 less factors, cut within rows", BFLOAT16, 24, 11),
    "linear-scaled": lambda: _predicted("one base, scaled", Predictor(LINEAR, 0, (0,), (0.5,))),
    "linear-bfloat16": lambda: _predicted("three bases", Predictor(LINEAR, 1, (1, 0, 0), (1.0, -0.5, 0.25)), 122),
    "linear-four": lambda: _predicted("four bases", Predictor(LINEAR, 0, (0, 1, 2, 0), (1.0, 0.5, -2.0, 0.125))),
    "adam-step": lambda: _predicted("Adam, three bases", Predictor(ADAM, 0, (0, 0, 0), STEP)),
    "adam-steps": lambda: _predicted("Adam, four bases", Predictor(ADAM, 0, (0, 0, 0, 0), STEPS), 122),
    "adam-masked": lambda: _predicted("Adam, some rest", Predictor(ADAM, 2, (2, 2, 0, 2), STEPS, True), 9),
    "second": lambda: _predicted("second moment", Predictor(SECOND, 0, (0, 0, 0), BETAS)),
    "second-masked": lambda: _predicted("second moment, some rest", Predictor(SECOND, 1, (1, 1, 1), BETAS, True)),
}
