"""round_floats: narrower floats, as torch rounds them on the CPU."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from ckstore._native import kernels
from kernels.data import OFFSETS, Bytes, at_offset, elements

torch = pytest.importorskip("torch")

DTYPES = {0: ("float32", "bfloat16"), 1: ("float32", "float16"), 2: ("float64", "float32")}
WIDTH = {0: 4, 1: 4, 2: 8}


def _inputs(kind: int) -> Bytes:
    """Values at, just under and just over every border between two narrower floats, and anything else."""
    width = WIDTH[kind]
    dropped = {0: 16, 1: 13, 2: 29}[kind]
    rng = np.random.default_rng(kind)
    anything = elements(width, 40_000).view(f"<u{width}")
    heads = rng.integers(0, 1 << (8 * width - dropped), 40_000, np.uint64) << np.uint64(dropped)
    half = np.uint64(1 << (dropped - 1))
    borders = [heads, heads + half, heads + half - np.uint64(1), heads + half + np.uint64(1), heads - np.uint64(1)]
    everywhere = np.arange(1 << 16, dtype=np.uint64) << np.uint64(8 * width - 16)
    tiny = [e + np.uint64(d) for e in (everywhere,) for d in (0, 1, 3)]
    data = np.concatenate([anything.astype(np.uint64), *borders, *tiny])
    return np.ascontiguousarray(data.astype(f"<u{width}")).view(np.uint8)


def _round(variant: str, src: Bytes, kind: int, offset: int = 0) -> Bytes:
    kernels.select(variant)
    dst = at_offset(np.full(len(src) // 2, 0xAA, np.uint8), offset)
    kernels.round_floats(src, kind, dst)
    return dst


def _by_torch(src: Bytes, kind: int) -> npt.NDArray[np.unsignedinteger]:
    source, target = DTYPES[kind]
    narrow = torch.from_numpy(src.view(source)).to(getattr(torch, target))
    return narrow.view(torch.uint8).numpy().view(f"<u{WIDTH[kind] // 2}")


@pytest.mark.parametrize("kind", DTYPES)
def test_every_number_is_rounded_as_torch_rounds_it(kernel_variant: str, kind: int) -> None:
    src = _inputs(kind)
    numbers = ~np.isnan(src.view(DTYPES[kind][0]))
    ours = _round(kernel_variant, src, kind).view(f"<u{WIDTH[kind] // 2}")
    assert (ours[numbers] == _by_torch(src, kind)[numbers]).all()


@pytest.mark.parametrize("kind", DTYPES)
def test_every_variant_rounds_alike(kernel_variant: str, kind: int) -> None:
    src = _inputs(kind)
    assert _round(kernel_variant, src, kind).tobytes() == _round("scalar", src, kind).tobytes()
    for number, offset in enumerate(OFFSETS):
        part = at_offset(src[: WIDTH[kind] * (number + 1)], offset)
        assert (_round(kernel_variant, part, kind, 63 - offset) == _round("scalar", part, kind)).all()


def test_nan_becomes_all_ones_as_bfloat16_and_keeps_sign_and_payload_otherwise(kernel_variant: str) -> None:
    single = np.array([0x7F800001, 0x7FC00000, 0xFF812345, 0xFFFFFFFF], "<u4").view(np.uint8)
    double = np.array([0x7FF0000000000001, 0xFFF4000020000000, 0x7FFFFFFFFFFFFFFF], "<u8").view(np.uint8)
    assert _round(kernel_variant, single, 0).view("<u2").tolist() == [0xFFFF] * 4
    assert _round(kernel_variant, single, 1).view("<u2").tolist() == [0x7E00, 0x7E00, 0xFE09, 0xFFFF]
    assert _round(kernel_variant, double, 2).view("<u4").tolist() == [0x7FC00000, 0xFFE00001, 0x7FFFFFFF]


def test_flush_to_zero_in_the_calling_thread_changes_nothing(kernel_variant: str) -> None:
    src = np.array([1, 0x000FFFFFFFFFFFFF, 0x36A0000000000001, 0x380FFFFFFFFFFFFF], "<u8").view(np.uint8)
    before = _round(kernel_variant, src, 2).tobytes()
    supported = torch.set_flush_denormal(True)
    try:
        assert _round(kernel_variant, src, 2).tobytes() == before
    finally:
        torch.set_flush_denormal(False)
    assert before != bytes(16) or not supported


def test_an_unknown_kind_or_length_is_refused() -> None:
    with pytest.raises(ValueError, match="kind"):
        kernels.round_floats(bytes(8), 3, bytearray(4))
    with pytest.raises(ValueError, match="half as long"):
        kernels.round_floats(bytes(8), 0, bytearray(5))
