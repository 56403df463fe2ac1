"""Words brought to scale: what a prediction says of them times a slope, and factors of the rows and columns.

The word of a float is its bits without the sign, as an integer: near the logarithm of its size, in steps of
2^-mantissa of a power of two. The logarithm of an optimiser's moment is near a sum of its row's and its column's
(Shazeer and Stern 2018), and near a multiple of what it was a few steps before once both are taken off: gradients are
large where they were large. With C columns, the first element in column c0, r an i8 of each row and f one of each
column, in steps of 2^-unit of a power of two, all modulo 2^W:

    word' = (slope · word >> 16) + origin + ((r + f) << (mantissa - unit))

    PARAMETERS  slope (u32), origin (u32), unit (u8), C (u32), c0 (u32)

Turned, for numbers of both signs: from the element, rotated left by one bit, twice the word is subtracted, as integers,
so that the sign is one of the low bits.
"""

from __future__ import annotations

import struct
from math import ceil, log2
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ckstore._native import kernels
from ckstore.codec.factors import Factor, Factors, Grid
from ckstore.codec.scratch import Bytes
from ckstore.errors import UnsupportedError

Words = npt.NDArray[np.float32]

_PARAMS = struct.Struct("<IIBII")
PARAMS_BYTES = _PARAMS.size
_MOST_UNIT = 7
_ONE = 1 << 16
_UNITS = (3, 6)
_ROWS = 24
"""Of the matrix, that tell the slope."""
_LEAST_SLOPE = 0.1
"""Of less there is nothing to be known from a base."""
_WITHIN = 0.98
"""Share of the rows and of the columns whose factors must fit into a byte."""


class Scale(NamedTuple):
    """The numbers of a scale; its factors come with the payload."""

    slope: int
    """In parts of 2^16."""
    origin: int
    unit: int
    turned: bool
    grid: Grid


def pack_params(scale: Scale) -> bytes:
    """The codec parameters, but for `turned`."""
    return _PARAMS.pack(scale.slope, scale.origin, scale.unit, *scale.grid)


def parse_params(params: bytes, turned: bool, mantissa: int) -> Scale:
    """The inverse. Raises UnsupportedError for factors finer than a word."""
    slope, origin, unit, columns, start = _PARAMS.unpack(params)
    if unit > min(_MOST_UNIT, mantissa):
        raise UnsupportedError("a scale this version does not know: written by a newer ckstore")
    return Scale(slope, origin, unit, turned, Grid(columns, start))


def apply(scale: Scale, factors: Factors, under: Bytes | None, width: int, mantissa: int, out: Bytes) -> None:
    """Bring the words of `under`, or zeros, to scale. The factors are of as many elements as `out`."""
    numbers = scale.slope, scale.origin, mantissa - scale.unit
    kernels.scaled(under, width, *numbers, *scale.grid, factors.rows, factors.columns, scale.turned, out)


def fit(
    raw: Bytes, under: Bytes | None, width: int, mantissa: int, turned: bool, grid: Grid
) -> tuple[Scale, Factors] | None:
    """The scale that `raw` has over a prediction of it, or over nothing; None if the prediction says nothing.

    REQUIRES: the chunk has a whole row of the matrix.
    """
    slope, unit = (0, _UNITS[0]) if under is None else _slope(raw, under, width, mantissa, grid)
    if under is not None and slope < _LEAST_SLOPE * _ONE:
        return None
    n = len(raw) // width
    rows, columns = np.zeros(grid.n_rows(n), np.int64), np.zeros(grid.columns, np.int64)
    kernels.word_sums(raw, under, width, slope, *grid, rows, columns)
    mean = int(rows.sum()) / n
    n_in_row, n_in_column = _counts(grid, n)
    of_rows, of_columns = rows / n_in_row - mean, columns / n_in_column - mean
    while unit and max(_usual(of_rows), _usual(of_columns)) > 127 << (mantissa - unit):
        unit -= 1
    step = 1 << (mantissa - unit)
    factors = Factors(grid, _steps(of_rows, step), _steps(of_columns, step))
    return Scale(slope, round(mean) % (1 << 32), unit, turned, grid), factors


def _slope(raw: Bytes, under: Bytes, width: int, mantissa: int, grid: Grid) -> tuple[int, int]:
    """Least squares over some rows, less the means of rows and columns; and a unit fine enough for what is left."""
    now, before = (_centred(_some_rows(data, width, grid)) for data in (raw, under))
    squares = float(np.vdot(before, before))
    slope = min(max(float(np.vdot(now, before)) / squares, 0.0), 1.0) if squares else 0.0
    left = float(np.std(now - np.float32(slope) * before)) / (1 << mantissa)
    unit = ceil(log2(4 / left)) if left else _UNITS[1]
    return round(slope * _ONE), min(max(unit, _UNITS[0]), _UNITS[1])


def _some_rows(data: Bytes, width: int, grid: Grid) -> Words:
    """Words of whole rows at even distances. There is one."""
    elements = data.view(f"<u{width}")
    first = (grid.columns - grid.start) % grid.columns
    n_whole = (len(elements) - first) // grid.columns
    matrix = elements[first : first + n_whole * grid.columns].reshape(n_whole, grid.columns)
    some = matrix[:: max(1, n_whole // _ROWS)]
    found: Words = (some & ((1 << (8 * width - 1)) - 1)).astype(np.float32)
    return found


def _centred(words: Words) -> Words:
    less_rows = words - words.mean(1, keepdims=True)
    found: Words = less_rows - less_rows.mean(0) if len(words) > 2 else less_rows
    return found


def _counts(grid: Grid, n: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Elements in each row and in each column."""
    in_row = np.full(grid.n_rows(n), grid.columns)
    in_row[0] -= grid.start
    in_row[-1] -= len(in_row) * grid.columns - grid.start - n
    in_column = np.full(grid.columns, n // grid.columns)
    in_column[(grid.start + np.arange(n % grid.columns)) % grid.columns] += 1
    return in_row, in_column


def _usual(factors: npt.NDArray[np.float64]) -> float:
    place = int(_WITHIN * (len(factors) - 1))
    return float(np.partition(np.abs(factors), place)[place])


def _steps(factors: npt.NDArray[np.float64], step: int) -> Factor:
    found: Factor = np.clip(np.rint(factors / step), -128, 127).astype(np.int8)
    return found
