"""Factors of the rows and columns of a matrix: a byte each, in steps of a fraction of a power of two.

The chunk is rows of C elements and begins at column c0 of its first row; row i has r_i, column j has f_j. They are used
by a scale (scale.py), and by planes, where what is stored of the exponents is, modulo 256, each byte less
floor((r_i + f_j) / 8).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ckstore.codec import entropy
from ckstore.codec.levels import Level
from ckstore.codec.scratch import Bytes
from ckstore.errors import FormatError

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


def parse(grid: Grid, n: int, streams: Sequence[entropy.Stream]) -> Factors:
    """The factors of n elements from their two streams. Raises FormatError, before memory is taken, for a matrix that
    does not fit."""
    if not grid.start < grid.columns <= n:
        raise FormatError("a matrix that does not fit the chunk")
    rows, columns = np.empty(grid.n_rows(n), np.uint8), np.empty(grid.columns, np.uint8)
    for stream, out in zip(streams, (rows, columns), strict=True):
        entropy.decode(*stream, out)
    return Factors(grid, rows.view(np.int8), columns.view(np.int8))


def streams(factors: Factors, level: Level) -> list[entropy.Stream]:
    """The stored streams of the rows and of the columns, in buffers of this thread."""
    parts = (factors.rows.view(np.uint8), factors.columns.view(np.uint8))
    return [
        entropy.encode(part, entropy.UNKNOWN, False, entropy.room(f"factor {i}", len(part)), level)
        for i, part in enumerate(parts)
    ]


def add(plane: Bytes, factors: Factors) -> None:
    """Turn what is stored of a plane of exponents, in place, into the plane."""
    for piece, sums in _sums(plane, factors):
        np.add(piece, sums, out=piece)


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
