"""is_constant, histogram, profile, equal."""

from __future__ import annotations

import numpy as np
import pytest

from ckstore._native import kernels
from kernels.data import OFFSETS, at_offset


@pytest.mark.parametrize("width", range(1, 17))
def test_a_repeated_item_is_constant_until_any_byte_differs(kernel_variant: str, width: int) -> None:
    item = np.arange(1, width + 1, dtype=np.uint8)
    for n in (1, 2, 3, 17, 64, 255):
        data = at_offset(np.tile(item, n), OFFSETS[n % 64])
        assert kernels.is_constant(data, width)
        for at in {0, width, len(data) // 2, len(data) - 1} if n > 1 else ():
            changed = data.copy()
            changed[min(at, len(data) - 1)] ^= 1
            assert not kernels.is_constant(changed, width)


def test_nothing_is_constant_and_so_is_one_item() -> None:
    assert kernels.is_constant(b"", 4)
    assert kernels.is_constant(b"abcd", 4)


def test_a_length_that_is_no_whole_number_of_items_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number"):
        kernels.is_constant(b"abcde", 4)
    with pytest.raises(ValueError, match="whole number"):
        kernels.is_constant(b"abcde", 0)


def test_a_histogram_counts_every_byte_of_each_part(kernel_variant: str) -> None:
    rng = np.random.default_rng(3)
    for n in (0, 1, 2, 3, 4, 5, 255, 1000):
        for parts in (1, 3, 8):
            data = at_offset(rng.integers(0, 256, n * parts, np.uint8), n % 64)
            counts = np.full((parts, 256), 77, np.uint32)
            kernels.histogram(data, parts, counts)
            expected = [np.bincount(part, minlength=256) for part in data.reshape(parts, n)]
            assert (counts == np.array(expected)).all()


def test_a_histogram_of_unequal_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="equal parts"):
        kernels.histogram(bytes(7), 2, np.empty((2, 256), np.uint32))
    with pytest.raises(ValueError, match="counts"):
        kernels.histogram(bytes(8), 2, np.empty((1, 256), np.uint32))


def test_equal_is_of_length_and_bytes() -> None:
    data = np.random.default_rng(1).integers(0, 256, 1000, np.uint8)
    assert kernels.equal(data, at_offset(data, 3))
    assert kernels.equal(b"", bytearray())
    assert not kernels.equal(data, data[:-1])
    for at in (0, 500, 999):
        changed = data.copy()
        changed[at] ^= 1
        assert not kernels.equal(data, changed)


def test_a_profile_is_what_the_histogram_says(kernel_variant: str) -> None:
    kernels.select(kernel_variant)
    rng = np.random.default_rng(4)
    weights = rng.integers(0, 1000, 1001, np.uint32)
    for n in (1, 2, 255, 1000):
        for parts in (1, 3):
            data = at_offset(np.minimum(rng.geometric(0.05, n * parts) - 1, 255).astype(np.uint8), n % 64)
            found = np.full((parts, kernels.PROFILE), 77, np.uint32)
            kernels.profile(data, parts, weights, found)
            for row, part in zip(found, data.reshape(parts, n), strict=True):
                counts = np.bincount(part, minlength=256)
                distinct, mode = np.count_nonzero(counts), counts.argmax()
                assert row.tolist() == [weights[counts].sum(), distinct, mode, counts[mode], counts[0]]


def test_a_profile_without_weights_for_all_counts_is_refused() -> None:
    found = np.empty((1, kernels.PROFILE), np.uint32)
    with pytest.raises(ValueError, match="weights"):
        kernels.profile(bytes(8), 1, np.zeros(8, np.uint32), found)
    with pytest.raises(ValueError, match="PROFILE"):
        kernels.profile(bytes(8), 1, np.zeros(9, np.uint32), found[:, :4].copy())
    with pytest.raises(ValueError, match="equal parts"):
        kernels.profile(bytes(7), 2, np.zeros(9, np.uint32), found)
