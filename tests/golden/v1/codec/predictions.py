"""Golden frames of recentred differences and of predictions; see regenerate.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ckstore.codec import delta, entropy, predict, scale
from ckstore.codec.delta import Center
from ckstore.codec.entropy import Stats
from ckstore.codec.factors import Grid
from ckstore.codec.kinds import Kind
from ckstore.codec.predict import ADAM, LINEAR, NONE, SECOND, Predictor
from ckstore.format.frame import DELTA_INT, PREDICTED

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


def _scaled(shows: str, predictor: Predictor, columns: int, start: int, *, turned: bool, dead: int = 0) -> Made:
    """Rows and columns of many sizes, zeros and special numbers among them, over bases of other sizes."""
    rng, dtype = np.random.default_rng(11), predictor.dtype
    sizes = np.outer(2.0 ** rng.normal(0, 2, 14), 2.0 ** rng.normal(0, 2, columns)).reshape(-1)
    values = (rng.standard_normal(len(sizes)) * sizes)[start:][: 12 * columns + 5]
    values[7::61] = np.resize([0.0, -0.0, np.inf, np.nan, 1e-41, -3e38], len(values[7::61]))
    rows, others = np.divmod(start + np.arange(len(values)), columns)
    values[rows < dead] *= 1e-30
    values[others < dead] *= 1e-30
    raw, n, width = _as(values if turned else np.abs(values), dtype), len(values), (4, 2, 2)[dtype]
    bases = [
        _as(np.abs(values) * (1 + 0.2 * rng.standard_normal(n)), base_dtype) for base_dtype in predictor.base_dtypes
    ]
    under = predictor.run([_bytes(base) for base in bases], n) if bases else None
    found = scale.fit(_bytes(raw), under, width, MANTISSA[dtype], turned, Grid(columns, start))
    assert found is not None
    predictor = replace(predictor, scale=found[0])
    payload = predict.encode(_bytes(raw), [_bytes(b) for b in bases], predictor, SKEWED, None, sides=found[1])
    return shows, PREDICTED, predict.pack_params(predictor, False), payload.tobytes(), raw, tuple(bases)


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
    "scale-alone": lambda: _scaled("float32 to scale, turned", Predictor(NONE, 0, (), ()), 31, 0, turned=True),
    "scale-bfloat16": lambda: _scaled(
        "bfloat16 to scale, cut within rows", Predictor(NONE, 1, (), ()), 24, 11, turned=True
    ),
    "scale-linear": lambda: _scaled(
        "float16 to scale over one base", Predictor(LINEAR, 2, (0,), (1.0,)), 40, 3, turned=False
    ),
    "scale-second": lambda: _scaled(
        "float32 to scale over three bases", Predictor(SECOND, 0, (0, 0, 0), BETAS), 17, 16, turned=False
    ),
    "scale-below": lambda: _scaled("words below zero, turned", Predictor(NONE, 0, (), ()), 31, 0, turned=True, dead=3),
    "linear-scaled": lambda: _predicted("one base, scaled", Predictor(LINEAR, 0, (0,), (0.5,))),
    "linear-bfloat16": lambda: _predicted("three bases", Predictor(LINEAR, 1, (1, 0, 0), (1.0, -0.5, 0.25)), 122),
    "linear-four": lambda: _predicted("four bases", Predictor(LINEAR, 0, (0, 1, 2, 0), (1.0, 0.5, -2.0, 0.125))),
    "adam-step": lambda: _predicted("Adam, three bases", Predictor(ADAM, 0, (0, 0, 0), STEP)),
    "adam-steps": lambda: _predicted("Adam, four bases", Predictor(ADAM, 0, (0, 0, 0, 0), STEPS), 122),
    "adam-masked": lambda: _predicted("Adam, some rest", Predictor(ADAM, 2, (2, 2, 0, 2), STEPS, True), 9),
    "second": lambda: _predicted("second moment", Predictor(SECOND, 0, (0, 0, 0), BETAS)),
    "second-masked": lambda: _predicted("second moment, some rest", Predictor(SECOND, 1, (1, 1, 1), BETAS, True)),
}
