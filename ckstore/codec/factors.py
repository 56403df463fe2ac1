"""Factors of the rows and columns of a matrix, for the exponents of optimiser moments.

A moment is near a product of its row's and its column's size (Shazeer and Stern 2018), so its exponent is near a sum.
The chunk is rows of C elements and begins at column c0 of its first row; row i has r_i, column j has f_j, both i8 in
eighths of a power of two. What is stored of the exponent plane is, modulo 256, each byte less floor((r_i + f_j) / 8).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ckstore.codec.scratch import Bytes

Factor = npt.NDArray[np.int8]
_STEPS = 8
_COLUMNS = 1 << 14
"""At a time: tables of what is left of a column take eight times its bytes."""
"""To a power of two."""


class Grid(NamedTuple):
    """How a chunk lies in its matrix."""

    columns: int
    """Elements in a row."""
    start: int
    """Column of the chunk's first element."""

    def n_rows(self, n: int) -> int:
        """Rows that a chunk of n elements touches."""
        return -(-(self.start + n) // self.columns)


class Factors(NamedTuple):
    """Of the rows that a chunk touches, and of all columns."""

    grid: Grid
    rows: Factor
    columns: Factor


def of_exponents(exponents: Bytes, grid: Grid) -> Factors:
    """Factors of a plane of exponents: means of rows and of columns, less the mean of all."""
    rows, n_in_row = np.zeros(grid.n_rows(len(exponents))), np.zeros(grid.n_rows(len(exponents)))
    columns, n_in_column = np.zeros(grid.columns), np.zeros(grid.columns)
    for piece, in_rows, in_columns in _pieces(exponents, grid):
        numbers = piece.astype(np.float32)
        rows[in_rows] += numbers @ np.ones(numbers.shape[1], np.float32)
        columns[in_columns] += np.ones(numbers.shape[0], np.float32) @ numbers
        n_in_row[in_rows] += numbers.shape[1]
        n_in_column[in_columns] += numbers.shape[0]
    mean = rows.sum() / max(len(exponents), 1)
    return Factors(grid, _eighths(rows, n_in_row, mean, 0.5), _eighths(columns, n_in_column, mean, 0.0))


def _eighths(sums: npt.NDArray[np.float64], counts: npt.NDArray[np.float64], mean: float, more: float) -> Factor:
    """Means less `mean`, and `more` so that what is cut down to a whole exponent is rounded."""
    means = np.divide(sums, counts, out=np.full(len(sums), mean), where=counts > 0)
    found: Factor = np.clip(np.rint(_STEPS * (means - mean + more)), -128, 127).astype(np.int8)
    return found


def subtract(plane: Bytes, factors: Factors) -> None:
    """Turn a plane of exponents, in place, into what is stored of it."""
    for piece, sums in _sums(plane, factors):
        np.subtract(piece, sums, out=piece)


def add(plane: Bytes, factors: Factors) -> None:
    """The inverse of subtract."""
    for piece, sums in _sums(plane, factors):
        np.add(piece, sums, out=piece)


def at(positions: npt.NDArray[np.int64], factors: Factors) -> Bytes:
    """floor((r_i + f_j) / 8) modulo 256 at some elements of the chunk."""
    row, column = np.divmod(positions + factors.grid.start, factors.grid.columns)
    sums = factors.rows.take(row).astype(np.int16) + factors.columns.take(column)
    return (sums >> 3).astype(np.uint8)


def _pieces(plane: Bytes, grid: Grid) -> Iterator[tuple[npt.NDArray[np.uint8], slice, slice]]:
    """Matrices that the plane is made of, views with their rows and columns: part of a row, whole rows, part of one."""
    n, width = len(plane), grid.columns
    head = min(n, width - grid.start) if grid.start else 0
    n_whole = (n - head) // width
    if head:
        yield plane[:head].reshape(1, head), slice(0, 1), slice(grid.start, grid.start + head)
    first, end = int(head > 0), head + n_whole * width
    if n_whole:
        yield plane[head:end].reshape(n_whole, width), slice(first, first + n_whole), slice(0, width)
    if end < n:
        yield plane[end:].reshape(1, n - end), slice(first + n_whole, first + n_whole + 1), slice(0, n - end)


def _sums(plane: Bytes, factors: Factors) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
    """Each piece of the plane with floor((r_i + f_j) / 8) modulo 256 of its elements.

    r = 8 a + k and f = 8 c + l give a + c, and one more where k + l >= 8: of each k there is one row of sums.
    """
    for whole, in_rows, in_columns in _pieces(plane, factors.grid):
        rows = factors.rows[in_rows]
        for start in range(0, whole.shape[1], _COLUMNS):
            piece, columns = whole[:, start : start + _COLUMNS], factors.columns[in_columns][start : start + _COLUMNS]
            ones = np.arange(_STEPS, dtype=np.int8)[:, None] + (columns & 7) >= _STEPS
            of_rest = (columns >> 3).astype(np.uint8) + ones.astype(np.uint8)
            sums = of_rest.take(rows & 7, 0)
            sums += (rows >> 3).astype(np.uint8)[:, None]
            yield piece, sums
