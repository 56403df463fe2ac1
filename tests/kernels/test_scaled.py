"""scaled, word_sums, turn: words of a matrix brought to scale, their sums by row and column, signs turned below."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ckstore._native import kernels
from kernels.data import OFFSETS, SIZES, Bytes, at_offset, elements
from tests.support import kernel_model
from tests.support.kernel_model import Matrix, Scale

Factor = npt.NDArray[np.int8]
WIDTHS = (2, 4)
ONE = 1 << 16
SLOPES = (0, 1, 0x7FFF, ONE - 1, ONE, 3 * ONE + 5, (1 << 32) - 1)
ORIGINS = (0, 1, 127 << 23, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
SHIFTS = {2: (0, 4, 7, 14), 4: (0, 17, 20, 30)}


def _matrices(n: int) -> list[Matrix]:
    """Of one column, of few, about a block, and wider than what is left of n; that begin in a row, and within one."""
    wide = [1, 2, 3, 255, 256, 257, max(1, n - 1), n + 1, 2 * n + 300]
    return [Matrix(columns, start) for columns in wide for start in sorted({0, columns // 2, columns - 1})]


def _cases(width: int) -> Iterator[tuple[int, Bytes, Matrix, Scale, int]]:
    """Number of the case, elements, matrix, scale, offset of addresses: sizes go with all kinds of the others."""
    for number, n in enumerate(SIZES):
        of_n = _matrices(n)
        for i in range(4 if n < 300 else 2):
            k = 7 * number + i
            scale = Scale(SLOPES[k % 7], ORIGINS[k % 6], SHIFTS[width][k % 4], k % 5 < 2)
            yield k, elements(width, n, seed=i), of_n[k % len(of_n)], scale, OFFSETS[k * 3 % 64]


def _factors(n: int, seed: int) -> Factor:
    """Any bytes, with the least and the greatest among them."""
    found = np.random.default_rng([n, seed]).integers(-128, 128, n).astype(np.int8)
    found[::5] = (-128, 127)[seed % 2]
    return found


def _scaled(
    src: Bytes | None, n: int, width: int, scale: Scale, matrix: Matrix, rows: Factor, columns: Factor, at: int = 0
) -> bytes:
    out = at_offset(np.full(n * width, 0xAA, np.uint8), at)
    slope, origin, shift, turned = scale
    kernels.scaled(src, width, slope, origin, shift, *matrix, rows, columns, turned, out)
    return out.tobytes()


@pytest.mark.parametrize("width", WIDTHS)
def test_words_come_to_scale_as_the_model_says(kernel_variant: str, width: int) -> None:
    """All variants are held against the model, and so against each other: any size, address and matrix."""
    kernels.select(kernel_variant)
    for number, src, matrix, scale, at in _cases(width):
        n = len(src) // width
        # of nothing, too, the row is there in which it would begin
        rows, columns = _factors(max(1, matrix.n_rows(n)), number), _factors(matrix.columns, number + 1)
        under = None if number % 3 == 0 else at_offset(src, 63 - at)
        expected = kernel_model.scaled(under, n, width, scale, matrix, rows.tolist(), columns.tolist())
        there = at_offset(rows.view(np.uint8), at * 5 % 64).view(np.int8)
        across = at_offset(columns.view(np.uint8), at * 11 % 64).view(np.int8)
        assert _scaled(under, n, width, scale, matrix, there, across, at) == expected, (n, matrix, scale)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_scale_takes_each_number_it_may_have(kernel_variant: str, width: int) -> None:
    kernels.select(kernel_variant)
    src, matrix = elements(width, 700), Matrix(90, 17)
    rows, columns = _factors(matrix.n_rows(700), 0), _factors(90, 1)
    for slope in SLOPES:
        for origin in ORIGINS:
            for shift in range(8 * width - 1):
                scale = Scale(slope, origin, shift, (slope + shift) % 2 == 0)
                expected = kernel_model.scaled(src, 700, width, scale, matrix, rows.tolist(), columns.tolist())
                assert _scaled(src, 700, width, scale, matrix, rows, columns) == expected, scale


@pytest.mark.parametrize("width", WIDTHS)
def test_words_are_added_up_by_row_and_column(kernel_variant: str, width: int) -> None:
    """To what the sums were before; rows and columns that no element lies in keep theirs."""
    kernels.select(kernel_variant)
    for number, src, matrix, scale, at in _cases(width):
        n, slope = len(src) // width, scale.slope % (ONE + 1)
        base = None if number % 3 == 0 else at_offset(elements(width, n, seed=9), at)
        expected = kernel_model.word_sums(src, base, width, slope, matrix)
        rows, columns = np.arange(matrix.n_rows(n) + 2) - (1 << 40), np.arange(matrix.columns) + (1 << 50)
        kernels.word_sums(at_offset(src, 63 - at), base, width, slope, *matrix, rows, columns)
        assert (rows - np.arange(len(rows)) + (1 << 40)).tolist() == [*expected[0], 0, 0], (n, matrix)
        assert (columns - np.arange(len(columns)) - (1 << 50)).tolist() == expected[1], (n, matrix)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("left", [True, False])
def test_elements_turn_by_one_bit_and_back(kernel_variant: str, width: int, left: bool) -> None:
    kernels.select(kernel_variant)
    for number, n in enumerate(SIZES):
        src = at_offset(elements(width, n), OFFSETS[number % 64])
        out, back = (at_offset(np.full(n * width, 0xAA, np.uint8), OFFSETS[number * k % 64]) for k in (3, 7))
        kernels.turn(src, width, left, out)
        assert out.tobytes() == kernel_model.turned(src, width, left)
        kernels.turn(out, width, not left, back)
        assert back.tobytes() == src.tobytes()


def test_turned_words_are_the_doubled_words_of_elements_without_a_sign(kernel_variant: str) -> None:
    """What the codec takes differences of: a scale that says all of the element leaves its sign alone."""
    kernels.select(kernel_variant)
    every = np.arange(1 << 16, dtype="<u2").view(np.uint8)
    turned, none = np.empty_like(every), np.zeros(256, np.int8)
    kernels.turn(every, 2, True, turned)
    found = np.frombuffer(_scaled(every, 1 << 16, 2, Scale(ONE, 0, 0, True), Matrix(256, 0), none, none), "<u2")
    assert (turned.view("<u2") - found).tolist() == [0] * (1 << 15) + [1] * (1 << 15)


def _refused(rule: str, call: Any, *arguments: Any) -> None:
    with pytest.raises(ValueError, match=rule):
        call(*arguments)


MATRICES = [
    ("first column", (4, 4, bytes(3), bytes(4))), ("first column", (0, 0, bytes(9), b"")),
    ("for each column", (4, 0, bytes(2), bytes(3))), ("for each column", (4, 0, bytes(2), bytes(5))),
    ("for each row", (4, 0, bytes(1), bytes(4))), ("for each row", (4, 1, bytes(2), bytes(4))),
    ("for each row", (1, 0, bytes(7), bytes(1))),
]  # fmt: skip
"""Of 8 elements: columns, start, rows and columns that they do not have."""


@pytest.mark.parametrize(("rule", "matrix"), MATRICES)
def test_a_matrix_that_does_not_hold_the_elements_is_refused(rule: str, matrix: tuple[int, int, bytes, bytes]) -> None:
    columns, start, *factors = matrix
    out = bytearray(16)
    rows, sums = (np.zeros(len(x), np.int8) for x in factors)
    _refused(rule, kernels.scaled, bytes(16), 2, ONE, 1, 0, columns, start, rows, sums, False, out)
    wide = [x.astype(np.int64) for x in (rows, sums)]
    _refused(rule, kernels.word_sums, bytes(16), None, 2, ONE, columns, start, *wide)
    assert out == bytes(16)


def test_what_has_no_word_or_no_room_is_refused() -> None:
    src, out, row, sums = bytes(8), bytearray(8), np.zeros(1, np.int8), np.zeros(1, np.int64)
    eight, counts = np.zeros(8, np.int8), np.zeros(8, np.int64)
    for width, rule in ((1, "2 or 4"), (8, "2 or 4"), (3, "element width"), (0, "element width")):
        _refused(rule, kernels.scaled, src, width, 0, 0, 0, 8, 0, row, eight, False, out)
        _refused(rule, kernels.word_sums, src, None, width, 0, 8, 0, sums, counts)
        _refused(rule, kernels.turn, src, width, True, out)
    for width in WIDTHS:
        _refused("shifted out", kernels.scaled, src, width, 0, 0, 8 * width - 1, 8, 0, row, eight, False, out)
    odd, longer, mine = bytearray(7), bytes(12), memoryview(out)
    _refused("whole number", kernels.scaled, None, 2, 0, 0, 0, 8, 0, row, eight, False, odd)
    _refused("whole number", kernels.word_sums, odd, None, 2, 0, 8, 0, sums, counts)
    _refused("whole number", kernels.turn, odd, 2, True, odd)
    for wrong in (longer, b""):
        _refused("as long as dst", kernels.scaled, wrong, 2, 0, 0, 0, 8, 0, row, eight, False, out)
        _refused("as long as src", kernels.word_sums, src, wrong, 2, 0, 8, 0, sums, counts)
        _refused("as long as dst", kernels.turn, wrong, 2, True, out)
    _refused("slope", kernels.word_sums, src, src, 2, ONE + 1, 8, 0, sums, counts)
    _refused("overlaps", kernels.scaled, mine, 2, 0, 0, 0, 8, 0, row, eight, False, mine)
    _refused("overlaps", kernels.turn, mine, 2, True, mine)
    room = np.zeros(16, np.int8)
    for rows, columns in ((room[:1], eight), (row, room[:8])):
        _refused("overlaps", kernels.scaled, None, 2, 0, 0, 0, 8, 0, rows, columns, False, room.view(np.uint8)[:8])
    _refused("overlaps", kernels.word_sums, src, None, 2, 0, 8, 0, counts[:1], counts)
    assert out == bytes(8)
    assert not sums.any()
    assert not counts.any()


def test_of_nothing_nothing_is_made(kernel_variant: str) -> None:
    kernels.select(kernel_variant)
    none, sums = np.zeros(0, np.int8), np.full(1, 7, np.int64)
    for src in (None, b""):
        kernels.scaled(src, 4, 0, 0, 0, 1, 0, none, np.zeros(1, np.int8), False, bytearray())
        kernels.word_sums(b"", src, 4, 0, 1, 0, none.astype(np.int64), sums)
    kernels.turn(b"", 4, True, bytearray())
    assert sums.tolist() == [7]
