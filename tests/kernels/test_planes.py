"""split, merge: byte planes of elements, of rotated ones, of the xor with a base."""

from __future__ import annotations

import numpy as np
import pytest

from ckstore._native import kernels
from kernels.data import OFFSETS, SIZES, WIDTHS, Bytes, at_offset, elements, integers

CASES = [(width, rotate, based) for width in WIDTHS for rotate in (False, True) for based in (False, True)]


def _defined(src: Bytes, base: Bytes | None, width: int, rotate: bool) -> bytes:
    bits, under = 8 * width, integers(base, width) if base is not None else None
    mixed = [x ^ (under[i] if under else 0) for i, x in enumerate(integers(src, width))]
    turned = [(x << 1 | x >> (bits - 1)) & ((1 << bits) - 1) if rotate else x for x in mixed]
    return b"".join(bytes(x >> (8 * p) & 255 for x in turned) for p in range(width))


def _split(variant: str, src: Bytes, base: Bytes | None, width: int, rotate: bool, offset: int = 0) -> Bytes:
    kernels.select(variant)
    planes = at_offset(np.full(len(src), 0xAA, np.uint8), offset)
    kernels.split(src, width, rotate, planes, base)
    return planes


@pytest.mark.parametrize(("width", "rotate", "based"), CASES)
def test_split_is_what_its_definition_says(kernel_variant: str, width: int, rotate: bool, based: bool) -> None:
    src = elements(width, 700)
    base = elements(width, 700, seed=1) if based else None
    assert _split(kernel_variant, src, base, width, rotate).tobytes() == _defined(src, base, width, rotate)


@pytest.mark.parametrize(("width", "rotate", "based"), CASES)
def test_every_variant_splits_alike_and_undoes_any_other(
    kernel_variant: str, width: int, rotate: bool, based: bool
) -> None:
    for number, n in enumerate(SIZES):
        src = at_offset(elements(width, n), OFFSETS[number % 64])
        base = at_offset(elements(width, n, seed=1), OFFSETS[number * 7 % 64]) if based else None
        reference = _split("scalar", src, base, width, rotate)
        planes = _split(kernel_variant, src, base, width, rotate, OFFSETS[number * 3 % 64])
        assert planes.tobytes() == reference.tobytes()
        for variant in kernels.variants():
            kernels.select(variant)
            back = at_offset(np.zeros(len(src), np.uint8), OFFSETS[number * 5 % 64])
            kernels.merge(np.split(planes, width), rotate, back, base)
            assert back.tobytes() == src.tobytes()


def test_any_address_will_do(kernel_variant: str) -> None:
    data = elements(4, 300)
    expected = _defined(data, None, 4, True)
    for offset in OFFSETS:
        assert _split(kernel_variant, at_offset(data, offset), None, 4, True, 63 - offset).tobytes() == expected


@pytest.mark.parametrize(("width", "rotate", "based"), CASES)
def test_the_highest_plane_goes_where_it_is_asked_for(
    kernel_variant: str, width: int, rotate: bool, based: bool
) -> None:
    kernels.select(kernel_variant)
    for n in (0, 1, 255, 256, 700):
        src, base = elements(width, n), elements(width, n, seed=1) if based else None
        planes, top = np.full(n * (width - 1) + 9, 0xAA, np.uint8), np.full(n + 9, 0xAA, np.uint8)
        kernels.split(src, width, rotate, planes[: n * (width - 1)], base, top[:n])
        assert planes[: n * (width - 1)].tobytes() + top[:n].tobytes() == _defined(src, base, width, rotate)
        assert planes[n * (width - 1) :].tobytes() == top[n:].tobytes() == bytes([0xAA] * 9)


@pytest.mark.parametrize("width", [0, 3, 5, 16])
def test_a_width_that_no_kernel_has_is_refused(width: int) -> None:
    with pytest.raises(ValueError, match="width"):
        kernels.split(bytes(48), width, False, bytearray(48))
    with pytest.raises(ValueError, match="width"):
        kernels.merge([bytes(3)] * width, False, bytearray(3 * width))


def test_lengths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="whole number"):
        kernels.split(bytes(7), 4, False, bytearray(7))
    with pytest.raises(ValueError, match="as long as src"):
        kernels.split(bytes(8), 4, False, bytearray(9))
    with pytest.raises(ValueError, match="as long as src"):
        kernels.split(bytes(8), 4, False, bytearray(8), bytes(4))
    with pytest.raises(ValueError, match="as long as src"):
        kernels.split(bytes(8), 4, False, bytearray(8), None, bytearray(2))
    with pytest.raises(ValueError, match="top must have a byte"):
        kernels.split(bytes(8), 4, False, bytearray(6), None, bytearray(3))
    with pytest.raises(ValueError, match="byte per element"):
        kernels.merge([bytes(2), bytes(1)], False, bytearray(4))
    with pytest.raises(ValueError, match="as long as dst"):
        kernels.merge([bytes(2), bytes(2)], False, bytearray(4), bytes(2))


def test_an_output_over_an_input_is_refused() -> None:
    room = bytearray(64)
    with pytest.raises(ValueError, match="overlaps"):
        kernels.split(memoryview(room)[:32], 4, False, memoryview(room)[16:48])
    for top in (memoryview(room)[0:4], memoryview(room)[24:28], memoryview(room)[60:64]):
        with pytest.raises(ValueError, match="overlaps"):
            kernels.split(memoryview(room)[:16], 4, False, memoryview(room)[16:28], memoryview(room)[48:64], top)
    with pytest.raises(ValueError, match="overlaps"):
        kernels.merge([memoryview(room)[:16], memoryview(room)[16:32]], False, memoryview(room)[31:63])
    with pytest.raises(ValueError, match="overlaps"):
        kernels.merge([memoryview(room)[:32]], False, memoryview(room)[32:], memoryview(room)[16:48])


def test_memory_that_may_not_be_written_is_refused() -> None:
    with pytest.raises((ValueError, BufferError)):
        kernels.split(bytes(8), 4, False, bytes(8))  # type: ignore[arg-type] # that is what is tested
