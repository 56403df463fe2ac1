"""Factors of rows and columns in planes, read and no longer written: any cut decodes, what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest

from ckstore._native import kernels
from ckstore.codec import entropy, factors, planes
from ckstore.codec.factors import Factors, Grid
from ckstore.codec.levels import Level
from ckstore.codec.planes import Shape
from ckstore.codec.scratch import Bytes, as_bytes
from ckstore.errors import FormatError, UnsupportedError


def _plane(n: int, seed: int = 0) -> Bytes:
    return np.random.default_rng([n, seed]).integers(0, 256, n, np.uint8)


def _any_factors(grid: Grid, n: int) -> Factors:
    rng = np.random.default_rng([n, *grid])
    rows, columns = (rng.integers(-128, 128, size, np.int8) for size in (grid.n_rows(n), grid.columns))
    return Factors(grid, rows, columns)


def _less(plane: Bytes, some: Factors) -> Bytes:
    """What is stored of a plane of exponents."""
    where = np.arange(len(plane)) + some.grid.start
    sums = some.rows[where // some.grid.columns].astype(int) + some.columns[where % some.grid.columns]
    return (plane - (sums // 8)).astype(np.uint8)


def _payload(raw: Bytes, width: int, some: Factors) -> Bytes:
    split, n = np.empty_like(raw), len(raw) // width
    kernels.split(raw, width, True, split)
    parts = [split[p * n : (p + 1) * n] for p in range(width)]
    parts[-1] = _less(parts[-1], some)
    streams = [*factors.streams(some, Level.BALANCED), *((entropy.RAW, part) for part in parts)]
    return as_bytes(entropy.heads(streams) + b"".join(stored.tobytes() for _, stored in streams))


GRIDS = [(1, 1, 0), (7, 7, 0), (7, 7, 6), (10, 1, 0), (10, 3, 0), (10, 3, 2), (12, 4, 1), (5, 5, 3), (600, 37, 20),
         (600, 600, 1), (600, 599, 0), (600, 2, 1), (1000, 100, 99)]  # fmt: skip


@pytest.mark.parametrize(("n", "columns", "start"), GRIDS)
def test_what_is_added_is_the_sum_of_the_factors_in_eighths(n: int, columns: int, start: int) -> None:
    some, plane = _any_factors(Grid(columns, start), n), _plane(n)
    stored = _less(plane, some)
    factors.add(stored, some)
    assert stored.tobytes() == plane.tobytes()


@pytest.mark.parametrize(("n", "columns", "start"), GRIDS)
@pytest.mark.parametrize("width", [2, 4, 8])
def test_planes_with_factors_decode(n: int, columns: int, start: int, width: int) -> None:
    raw, grid = _plane(n * width), Grid(columns, start)
    shape = Shape(width, True, (), grid)
    assert planes.parse_params(planes.pack_params(shape)) == shape
    payload = _payload(raw, width, _any_factors(grid, n))
    before = payload.copy()
    for _ in range(2):
        out = np.zeros(len(raw), np.uint8)
        planes.decode(shape, payload, None, out)
        assert out.tobytes() == raw.tobytes()
    assert payload.tobytes() == before.tobytes()


@pytest.mark.parametrize("grid", [(0, 0), (101, 0), (10, 10), (10, 4_000_000_000), (4_000_000_000, 0)], ids=str)
def test_a_matrix_that_does_not_fit_is_refused_before_memory_is_taken_for_it(grid: tuple[int, int]) -> None:
    constant = (entropy.CONSTANT, as_bytes(b"\0"))
    payload = as_bytes(entropy.heads([constant] * 6) + bytes(6))
    with pytest.raises(FormatError):
        planes.decode(Shape(4, True, (), Grid(*grid)), payload, None, np.zeros(400, np.uint8))


def test_payloads_that_do_not_fit_are_refused() -> None:
    raw, shape = _plane(400), Shape(4, True, (), Grid(10, 3))
    good = _payload(raw, 4, _any_factors(Grid(10, 3), 100)).tobytes()
    for payload in (b"", good[:20], good[:-1], good + b"\0"):
        with pytest.raises(FormatError):
            planes.decode(shape, as_bytes(payload), None, np.zeros(400, np.uint8))
    with pytest.raises(FormatError):
        planes.decode(shape, as_bytes(good), raw, np.zeros(400, np.uint8))


def test_factors_are_of_rotated_elements_without_holes() -> None:
    grid = bytes(8)
    for params in (b"\0\4\2\0" + grid, b"\0\1\3\0" + grid, b"\0\2\3\1\0\0" + grid):
        with pytest.raises(UnsupportedError):
            planes.parse_params(params)


@pytest.mark.parametrize(("n", "columns", "start"), [(1 << 16, 1024, 77), (1 << 17, 40_000, 5), (1 << 16, 1 << 15, 0)])
def test_wide_matrices_are_taken_piece_by_piece(n: int, columns: int, start: int) -> None:
    rng, grid = np.random.default_rng(0), Grid(columns, start)
    sides = (rng.integers(-128, 128, size).astype(np.int8) for size in (grid.n_rows(n), columns))
    made, plane = Factors(grid, *sides), rng.integers(0, 256, n).astype(np.uint8)
    less = _less(plane, made)
    factors.add(less, made)
    assert (less == plane).all()
