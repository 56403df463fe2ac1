"""gap_split, gap_merge: bytes that are not the hole, and how many holes lie before each."""

from __future__ import annotations

import numpy as np
import pytest

from ckstore._native import kernels
from kernels.data import OFFSETS, SIZES, Bytes, at_offset


def _holed(n: int, hole: int, share: float) -> Bytes:
    rng = np.random.default_rng([n, hole])
    return np.where(rng.random(n) < share, hole, rng.integers(0, 256, n)).astype(np.uint8)


def _split(variant: str, src: Bytes, hole: int, most: int, offset: int = 0) -> tuple[Bytes, Bytes] | None:
    kernels.select(variant)
    gaps = at_offset(np.full(4 * most, 0xAA, np.uint8), offset)
    values = at_offset(np.full(most, 0xAA, np.uint8), 63 - offset)
    count = kernels.gap_split(src, hole, gaps, values)
    return None if count < 0 else (gaps[: 4 * count], values[:count])


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 1.0])
def test_every_variant_splits_as_defined_and_undoes_any_other(kernel_variant: str, share: float) -> None:
    hole = int(share * 200)
    for number, n in enumerate(SIZES[1:]):
        src = at_offset(_holed(n, hole, share), OFFSETS[number % 64])
        places = np.flatnonzero(src != hole)
        parts = _split(kernel_variant, src, hole, n, OFFSETS[number * 3 % 64])
        assert parts is not None
        assert parts[0].tobytes() == (np.diff(places, prepend=-1) - 1).astype("<u4").tobytes()
        assert parts[1].tobytes() == src[places].tobytes()
        for variant in kernels.variants():
            kernels.select(variant)
            back = at_offset(np.full(n, 0xAA, np.uint8), OFFSETS[number * 5 % 64])
            assert kernels.gap_merge(*parts, hole, back)
            assert back.tobytes() == src.tobytes()


def test_more_values_than_there_is_room_for_are_told(kernel_variant: str) -> None:
    src = _holed(100, 3, 0.5)
    count = int(np.count_nonzero(src != 3))
    assert _split(kernel_variant, src, 3, count) is not None
    assert _split(kernel_variant, src, 3, count - 1) is None


def test_gaps_that_lead_outside_are_refused(kernel_variant: str) -> None:
    kernels.select(kernel_variant)
    for gaps, ok in (([9], True), ([10], False), ([4, 4], True), ([4, 5], False), ([0] * 10, True), ([0] * 11, False)):
        out = bytearray(10)
        assert kernels.gap_merge(np.array(gaps, "<u4").view(np.uint8), bytes(len(gaps)), 7, out) is ok
    assert not kernels.gap_merge(b"\xff\xff\xff\xff", b"a", 7, bytearray(10))


def test_nothing_but_holes_and_nothing_at_all(kernel_variant: str) -> None:
    kernels.select(kernel_variant)
    out = bytearray(5)
    assert kernels.gap_merge(b"", b"", 7, out)
    assert out == b"\7" * 5
    assert kernels.gap_merge(b"", b"", 7, bytearray())
    assert not kernels.gap_merge(bytes(4), b"a", 7, bytearray())
    assert kernels.gap_split(b"", 0, bytearray(4), bytearray(1)) == 0


def test_memory_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="four bytes"):
        kernels.gap_split(bytes(9), 0, bytearray(35), bytearray(9))
    with pytest.raises(ValueError, match="one at least"):
        kernels.gap_split(bytes(9), 0, bytearray(), bytearray())
    with pytest.raises(ValueError, match="four bytes"):
        kernels.gap_merge(bytes(5), bytes(1), 0, bytearray(9))
    room = bytearray(8)
    with pytest.raises(ValueError, match="overlaps"):
        kernels.gap_merge(room, bytes(2), 0, room)
