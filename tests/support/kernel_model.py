"""What recentred differences, predictions and scales are, in no hurry: the kernels are tested against this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

FLOAT32, BFLOAT16, FLOAT16 = 0, 1, 2
LINEAR, ADAM, SECOND = 1, 2, 3
SIZE = {FLOAT32: 4, BFLOAT16: 2, FLOAT16: 2}
_QUIET = {FLOAT32: 0x7FC00000, BFLOAT16: 0x7FC0, FLOAT16: 0x7E00}


def split(data: Any, base: Any, width: int, origin: int, mantissa: int) -> tuple[bytes, bytes]:
    """Symbols and bit stream of recentred differences of floats."""
    symbols, stream, length = [], 0, 0
    for x, b in zip(_patterns(data, width), _patterns(base, width), strict=True):
        d = (_order(x, width) - _order(b, width)) % (1 << 8 * width)
        s = d >> (8 * width - 1)
        g = d ^ ((1 << 8 * width) - 1) if s else d
        c = min(31, max(0, g.bit_length() + _exponent(b, width, mantissa) - origin))
        k, lead = _low_bits(c, g.bit_length(), b, width, origin, mantissa), 0
        if 0 < c < 31:
            lead = g >> k & 3
        symbols.append(2 * (4 * c + lead) + s)
        stream |= (g & ((1 << k) - 1)) << length
        length += k
    return bytes(symbols), stream.to_bytes((length + 7) // 8, "little")


def merge(symbols: bytes, bits: bytes, base: Any, width: int, origin: int, mantissa: int) -> bytes | None:
    """The inverse; None for symbols and bits that no chunk can have."""
    stream, at, out = int.from_bytes(bits, "little"), 0, b""
    for t, b in zip(symbols, _patterns(base, width), strict=True):
        s, lead, c = t & 1, t >> 1 & 3, t >> 3
        length = c + origin - _exponent(b, width, mantissa)
        if 0 < c < 31 and not 0 <= length <= 8 * width - 1:
            return None
        k = _low_bits(c, length, b, width, origin, mantissa)
        g = stream >> at & ((1 << k) - 1)
        at += k
        if 0 < c < 31:
            g |= lead << k | (1 << length >> 1 if length > 2 else 0)
        d = g ^ ((1 << 8 * width) - 1) if s else g
        out += _order((_order(b, width) + d) % (1 << 8 * width), width).to_bytes(width, "little")
    return out if len(bits) == (at + 7) // 8 and not stream >> at else None


def _low_bits(c: int, length: int, b: int, width: int, origin: int, mantissa: int) -> int:
    if c == 0:
        return min(8 * width - 1, max(0, origin - _exponent(b, width, mantissa)))
    return 8 * width - 1 if c == 31 else max(0, length - 3)


def _patterns(data: Any, width: int) -> list[int]:
    return [int(x) for x in np.frombuffer(data, f"<u{width}")]


def _order(x: int, width: int) -> int:
    return x ^ ((1 << (8 * width - 1)) - 1) if x >> (8 * width - 1) else x


def _exponent(b: int, width: int, mantissa: int) -> int:
    return (b & ((1 << (8 * width - 1)) - 1)) >> mantissa


def predict(
    kind: int, bases: Sequence[Any], dtypes: Sequence[int], coefficients: Sequence[float], masked: bool, out: int
) -> bytes:
    """The prediction, of dtype `out`. Every operation is one of binary32, rounded by itself."""
    with np.errstate(all="ignore"):
        rows = [_widened(base, dtype) for base, dtype in zip(bases, dtypes, strict=True)]
        c = [np.float32(x) for x in coefficients]
        found = {LINEAR: _linear, ADAM: _adam, SECOND: _second}[kind](rows, c)
        if masked:
            found = np.where(_same(bases, dtypes, kind), rows[0], found)
        return _narrowed(found, out)


def _linear(b: list[Floats], c: list[np.float32]) -> Floats:
    p = c[0] * b[0]
    for i in range(1, len(b)):
        p = p + c[i] * b[i]
    return p


def _adam(b: list[Floats], c: list[np.float32]) -> Floats:
    decay, step1, step0, root, eps = c
    q = step1 * b[1]
    if len(b) == 4:
        q = q + step0 * b[3]
    r = np.sqrt(b[2]) / root + eps
    return decay * b[0] + q / r


def _second(b: list[Floats], c: list[np.float32]) -> Floats:
    beta, gain, inner = c
    g = (b[1] - b[2]) / inner + b[2]
    return beta * b[0] + gain * (g * g)


def _same(bases: Sequence[Any], dtypes: Sequence[int], kind: int) -> npt.NDArray[np.bool_]:
    """Where m1 and m0 hold the same number, bit for bit as binary32."""
    m1, m0 = (1, 3) if kind == ADAM else (1, 2)
    one, other = (_widened(bases[i], dtypes[i]).view(np.uint32) for i in (m1, m0))
    return np.equal(one, other)


def _widened(data: Any, dtype: int) -> Floats:
    if dtype == FLOAT32:
        return np.frombuffer(data, "<f4").astype(np.float32)
    if dtype == BFLOAT16:
        return (np.frombuffer(data, "<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.frombuffer(data, "<f2").astype(np.float32)


def _narrowed(p: Floats, dtype: int) -> bytes:
    bits = p.view(np.uint32)
    if dtype == FLOAT32:
        out = bits.astype("<u4")
    elif dtype == BFLOAT16:
        out = ((bits.astype(np.uint64) + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")
    else:
        out = p.astype(np.float16).view("<u2").copy()
    out[np.isnan(p)] = _QUIET[dtype]
    return out.tobytes()


class Matrix(NamedTuple):
    """How elements lie in a matrix of so many columns: the first one in column `start`."""

    columns: int
    start: int

    def n_rows(self, n: int) -> int:
        """Rows that n elements touch."""
        return 0 if n == 0 else self.place(n - 1)[0] + 1

    def place(self, i: int) -> tuple[int, int]:
        """Row and column of element i."""
        return divmod(self.start + i, self.columns)


class Scale(NamedTuple):
    """The numbers of `scaled`."""

    slope: int
    origin: int
    shift: int
    turned: bool


def scaled(
    src: Any | None, n: int, width: int, scale: Scale, matrix: Matrix, rows: Sequence[int], columns: Sequence[int]
) -> bytes:
    """Words of n elements; rows, columns: factors of the matrix's rows and columns."""
    words, out = _words(src, n, width), []
    for i, word in enumerate(words):
        r, c = matrix.place(i)
        y = (scale.slope * word >> 16) + scale.origin + (rows[r] + columns[c]) * 2**scale.shift
        out.append(y * (2 if scale.turned else 1) % (1 << 8 * width))
    return np.array(out, f"<u{width}").tobytes()


def word_sums(src: Any, base: Any | None, width: int, slope: int, matrix: Matrix) -> tuple[list[int], list[int]]:
    """Sums of what is left of the words of each row and of each column."""
    words = _words(src, 0, width)
    rows, columns = [0] * matrix.n_rows(len(words)), [0] * matrix.columns
    for i, (word, under) in enumerate(zip(words, _words(base, len(words), width), strict=True)):
        r, c = matrix.place(i)
        rows[r] += word - (slope * under >> 16)
        columns[c] += word - (slope * under >> 16)
    return rows, columns


def turned(src: Any, width: int, left: bool) -> bytes:
    """The elements rotated by one bit."""
    top, r = 8 * width - 1, 1 if left else 8 * width - 1
    out = [(x << r | x >> (top + 1 - r)) % (1 << (top + 1)) for x in _patterns(src, width)]
    return np.array(out, f"<u{width}").tobytes()


def _words(data: Any | None, n: int, width: int) -> list[int]:
    """The elements without their top bits; n zeros for None."""
    return [0] * n if data is None else [x & ((1 << (8 * width - 1)) - 1) for x in _patterns(data, width)]
