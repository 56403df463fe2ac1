"""The predictions of FORMAT.md §7.4, written from that page alone.

An operation of binary32 is done in binary64 and rounded: for + − × ÷ √ that is the same (Figueroa 1995), since 53 is at
least 2 · 24 + 2.
"""

from __future__ import annotations

import math
import struct

WIDTHS = (4, 2, 2)


def split(params: bytes) -> tuple[bytes, bytes]:
    """The parameters of a prediction, and those of the differences behind them."""
    n_numbers = {0: 0, 1: params[3], 2: 5, 3: 3}[params[0]]
    end = 4 + params[3] + 4 * n_numbers + (17 if params[2] & 2 else 0)
    return params[:end], params[end:]


def scaled(params: bytes, p: list[int], factors: list[bytes]) -> list[int]:
    """The words of a prediction, brought to scale; `p` of zeros if there is none."""
    slope, origin, unit, columns, start = struct.unpack("<IIBII", params[-17:])
    mantissa, word = (23, 7, 10)[params[1]], 8 * WIDTHS[params[1]]
    assert unit <= min(7, mantissa)
    rows, others = (memoryview(part).cast("b") for part in factors)
    found = []
    for at, x in enumerate(p):
        i, j = divmod(start + at, columns)
        steep = slope * (x % (1 << word - 1)) >> 16
        found.append((steep + origin + (rows[i] + others[j]) * (1 << mantissa - unit)) % (1 << word))
    return found


def predicted(params: bytes, bases: list[bytes]) -> bytes:
    """The prediction that the parameters make of these bases."""
    formula, dtype, flags, n_bases = params[:4]
    assert flags in (0, 1, 2, 3, 6, 7)
    assert len(bases) == n_bases
    params = params[:-17] if flags & 2 else params
    rows = [_patterns(base, kind) for base, kind in zip(bases, params[4 : 4 + n_bases], strict=True)]
    numbers = [_value(x) for (x,) in struct.iter_unpack("<I", params[4 + n_bases :])]
    out = b""
    for patterns in zip(*rows, strict=True):
        values = [_value(pattern) for pattern in patterns]
        p = {1: _linear, 2: _adam, 3: _second}[formula](values, numbers)
        if flags & 1:
            m, m_before = patterns[1], patterns[3 if formula == 2 else 2]
            p = values[0] if m == m_before else p
        out += _rounded(p, dtype)
    return out


def _linear(b: list[float], c: list[float]) -> float:
    p = _f(c[0] * b[0])
    for i in range(1, len(b)):
        p = _f(p + _f(c[i] * b[i]))
    return p


def _adam(b: list[float], c: list[float]) -> float:
    decay, step, step_before, root, eps = c
    q = _f(step * b[1])
    if len(b) == 4:
        q = _f(q + _f(step_before * b[3]))
    r = _f(_f(_divided(_f(_root(b[2])), root)) + eps)
    return _f(_f(decay * b[0]) + _f(_divided(q, r)))


def _second(b: list[float], c: list[float]) -> float:
    beta, gain, inner = c
    g = _f(_f(_divided(_f(b[1] - b[2]), inner)) + b[2])
    return _f(_f(beta * b[0]) + _f(gain * _f(g * g)))


def _f(x: float) -> float:
    """Rounded to binary32."""
    if math.isnan(x) or math.isinf(x):
        return x
    try:
        return float(struct.unpack("<f", struct.pack("<f", x))[0])
    except OverflowError:
        return math.copysign(math.inf, x)


def _divided(x: float, y: float) -> float:
    if math.isnan(x) or math.isnan(y) or (x == 0 and y == 0) or (math.isinf(x) and math.isinf(y)):
        return math.nan
    return x / y if y else math.copysign(math.inf, x) * math.copysign(1, y)


def _root(x: float) -> float:
    return x if x == 0 or math.isnan(x) else math.nan if x < 0 else math.sqrt(x)


def _patterns(data: bytes, dtype: int) -> list[int]:
    """Patterns of binary32."""
    width = WIDTHS[dtype]
    found = [int.from_bytes(data[i : i + width], "little") for i in range(0, len(data), width)]
    return found if dtype == 0 else [x << 16 for x in found] if dtype == 1 else [_widened(x) for x in found]


def _widened(x: int) -> int:
    """float16 as binary32."""
    sign, exponent, fraction = x >> 15 << 31, x >> 10 & 31, x & 1023
    if exponent == 31:
        return sign | 0xFF << 23 | fraction << 13
    value = math.ldexp(fraction + (1024 if exponent else 0), max(exponent, 1) - 25)
    return sign | int(struct.unpack("<I", struct.pack("<f", value))[0])


def _value(pattern: int) -> float:
    return float(struct.unpack("<f", pattern.to_bytes(4, "little"))[0])


def _rounded(p: float, dtype: int) -> bytes:
    if math.isnan(p):
        return (b"\0\0\xc0\x7f", b"\xc0\x7f", b"\0\x7e")[dtype]
    if dtype == 2:
        try:
            return struct.pack("<e", p)
        except OverflowError:
            return struct.pack("<e", math.copysign(math.inf, p))
    bits = int(struct.unpack("<I", struct.pack("<f", p))[0])
    return bits.to_bytes(4, "little") if dtype == 0 else (bits + 0x7FFF + (bits >> 16 & 1) >> 16).to_bytes(2, "little")
