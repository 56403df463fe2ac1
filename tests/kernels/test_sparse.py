"""sparse_split, sparse_merge: elements that are not the hole, and the bitmap that says where they were."""

from __future__ import annotations

import numpy as np
import pytest

from ckstore._native import kernels
from kernels.data import OFFSETS, SIZES, WIDTHS, Bytes, at_offset, elements


def _holed(width: int, n: int, hole: int, share: float) -> Bytes:
    data = elements(width, n).view(f"<u{width}").copy()
    data[np.random.default_rng([n, width]).random(n) < share] = hole
    return data.view(np.uint8)


def _split(variant: str, src: Bytes, width: int, hole: int, offset: int = 0) -> tuple[Bytes, Bytes]:
    kernels.select(variant)
    n = len(src) // width
    bitmap = at_offset(np.full((n + 7) // 8, 0xAA, np.uint8), offset)
    values = at_offset(np.full(len(src), 0xAA, np.uint8), 63 - offset)
    count = kernels.sparse_split(src, width, hole, bitmap, values)
    return bitmap, values[: count * width]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95, 1.0])
def test_every_variant_splits_as_defined_and_undoes_any_other(kernel_variant: str, width: int, share: float) -> None:
    hole = (0, 1 << (8 * width - 1), 0x5A)[int(share * 10) % 3]
    for number, n in enumerate(SIZES):
        src = at_offset(_holed(width, n, hole, share), OFFSETS[number % 64])
        kept = src.view(f"<u{width}") != hole
        bitmap, values = _split(kernel_variant, src, width, hole, OFFSETS[number * 3 % 64])
        assert bitmap.tobytes() == np.packbits(kept, bitorder="little").tobytes()
        assert values.tobytes() == src.view(f"<u{width}")[kept].tobytes()
        for variant in kernels.variants():
            kernels.select(variant)
            back = at_offset(np.full(len(src), 0xAA, np.uint8), OFFSETS[number * 5 % 64])
            assert kernels.sparse_merge(bitmap, values, width, hole, back)
            assert back.tobytes() == src.tobytes()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_bitmap_with_more_or_fewer_bits_than_values_is_refused(kernel_variant: str, width: int) -> None:
    src = _holed(width, 203, 0, 0.5)
    bitmap, values = _split(kernel_variant, src, width, 0)
    out = bytearray(len(src))
    assert not kernels.sparse_merge(bitmap, values[:-width], width, 0, out)
    assert not kernels.sparse_merge(bitmap, np.append(values, values[:width]), width, 0, out)
    assert not kernels.sparse_merge(bytes(len(bitmap)), values, width, 0, out)
    assert not kernels.sparse_merge(b"\xff" * len(bitmap), values, width, 0, out)


def test_bits_after_the_last_element_are_refused(kernel_variant: str) -> None:
    for n in range(1, 8):
        values, out = np.arange(1, n + 1, dtype=np.uint8), bytearray(n)
        assert kernels.sparse_merge(bytes([(1 << n) - 1]), values, 1, 0, out)
        assert not kernels.sparse_merge(bytes([(1 << n) - 1 | 0x80]), np.append(values, 9).astype(np.uint8), 1, 0, out)


def test_any_bitmap_gives_an_answer(kernel_variant: str) -> None:
    rng = np.random.default_rng(7)
    for number in range(600):
        width, n = WIDTHS[number % 4], int(rng.integers(0, 200))
        bitmap = rng.integers(0, 256, (n + 7) // 8, np.uint8)
        values = rng.integers(0, 256, int(rng.integers(0, n + 1)) * width, np.uint8)
        fits = np.unpackbits(bitmap, bitorder="little")[:n].sum() * width == len(values)
        fits = fits and not np.unpackbits(bitmap, bitorder="little")[n:].any()
        assert kernels.sparse_merge(bitmap, values, width, 0, bytearray(n * width)) == fits


def test_lengths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="a bit per element"):
        kernels.sparse_split(bytes(16), 2, 0, bytearray(2), bytearray(16))
    with pytest.raises(ValueError, match="as long as src"):
        kernels.sparse_split(bytes(16), 2, 0, bytearray(1), bytearray(14))
    with pytest.raises(ValueError, match="a bit per element"):
        kernels.sparse_merge(bytes(2), b"", 2, 0, bytearray(16))
    with pytest.raises(ValueError, match="whole number"):
        kernels.sparse_merge(bytes(1), bytes(3), 2, 0, bytearray(16))
