"""delta_split, delta_merge with an origin: classes that follow the size of a difference; and delta_origin."""

from __future__ import annotations

from math import log, log2

import numpy as np
import numpy.typing as npt
import pytest

from ckstore._native import kernels
from kernels.data import OFFSETS, SIZES, Bytes, at_offset, elements, integers, near
from tests.support import kernel_model

KINDS = [(2, 7), (2, 10), (4, 23), (8, 52)]
"""Width and bits of mantissa."""
ORIGINS = (-32768, -64, -1, 0, 5, 31, 110, 127, 1020, 2047, 2200, 32767)
X_LOG_X = np.array([round(256 * x * log2(x)) if x else 0 for x in range(5000)], np.uint32)


def _split(
    variant: str, src: Bytes, base: Bytes, kind: tuple[int, int], origin: int, at: int = 0
) -> tuple[Bytes, Bytes]:
    kernels.select(variant)
    width, mantissa = kind
    symbols = at_offset(np.full(len(src) // width, 0xAA, np.uint8), at)
    bits = at_offset(np.full(len(src) + kernels.BITS_SLACK, 0xAA, np.uint8), 63 - at)
    used = kernels.delta_split(src, base, width, True, symbols, bits, origin, mantissa)
    return symbols, bits[:used]


def _merge(symbols: Bytes, bits: Bytes, base: Bytes, kind: tuple[int, int], origin: int) -> bytes | None:
    out = bytearray(len(base))
    ok = kernels.delta_merge(symbols, bits, base, kind[0], True, out, origin, kind[1])
    return bytes(out) if ok else None


def _steps(n: int, kind: tuple[int, int], size: float) -> tuple[Bytes, Bytes]:
    """Weights after and before a step of about one size: the floats of 2 bytes are bfloat16 or float16 as kind says."""
    rng = np.random.default_rng([n, kind[1]])
    before = rng.normal(size=n) * 0.02
    after = before + rng.normal(size=n) * size
    dtype = {7: "<f4", 10: "<f2", 23: "<f4", 52: "<f8"}[kind[1]]
    one, other = (np.ascontiguousarray(x.astype(dtype)).view(np.uint8) for x in (after, before))
    if kind[1] == 7:
        one, other = (np.ascontiguousarray(x.view("<u2")[1::2]).view(np.uint8) for x in (one, other))
    return one, other


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("origin", ORIGINS)
def test_recentred_differences_are_what_the_model_says(kernel_variant: str, kind: tuple[int, int], origin: int) -> None:
    src = elements(kind[0], 700)
    for base in (near(src, kind[0]), elements(kind[0], 700, seed=1)):
        symbols, bits = _split(kernel_variant, src, base, kind, origin)
        assert (symbols.tobytes(), bits.tobytes()) == kernel_model.split(src, base, kind[0], origin, kind[1])
        assert _merge(symbols, bits, base, kind, origin) == src.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_every_variant_codes_alike_and_undoes_any_other(kernel_variant: str, kind: tuple[int, int]) -> None:
    for number, n in enumerate(SIZES):
        src = at_offset(elements(kind[0], n), OFFSETS[number % 64])
        base = at_offset(near(src, kind[0]), OFFSETS[number * 7 % 64])
        origin = ORIGINS[number % len(ORIGINS)]
        reference = _split("scalar", src, base, kind, origin)
        symbols, bits = _split(kernel_variant, src, base, kind, origin, OFFSETS[number * 3 % 64])
        assert (symbols.tobytes(), bits.tobytes()) == (reference[0].tobytes(), reference[1].tobytes())
        for variant in kernels.variants():
            kernels.select(variant)
            assert _merge(symbols, bits, base, kind, origin) == src.tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-6, 1e-4, 1e-2])
def test_steps_of_any_size_come_back(kernel_variant: str, kind: tuple[int, int], size: float) -> None:
    """Blocks whose longest low bits are none, few, many and all: each is packed in its own way."""
    after, before = _steps(1000, kind, size)
    for origin in (100, 120, 1010, 4, 14):
        symbols, bits = _split(kernel_variant, after, before, kind, origin)
        assert (symbols.tobytes(), bits.tobytes()) == kernel_model.split(after, before, kind[0], origin, kind[1])
        assert _merge(symbols, bits, before, kind, origin) == after.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_any_symbols_and_bits_decode_as_in_the_model_or_not_at_all(kernel_variant: str, kind: tuple[int, int]) -> None:
    kernels.select(kernel_variant)
    rng, accepted = np.random.default_rng(kind[1]), 0
    for number in range(300):
        n, origin = int(rng.integers(1, 40)), int(rng.integers(-20, 300))
        base = np.full(n * kind[0], 0x3D, np.uint8) if number % 2 else elements(kind[0], n, seed=number)
        symbols = rng.integers(0, rng.choice((8, 60, 256)), n, np.uint8)
        bits = rng.integers(0, 256, n * kind[0], np.uint8)
        for size in range(len(bits) + 1):
            bits[size - 1 : size] &= 1
            expected = kernel_model.merge(symbols.tobytes(), bits[:size].tobytes(), base, kind[0], origin, kind[1])
            assert _merge(symbols, bits[:size], base, kind, origin) == expected
            accepted += expected is not None
    assert accepted > 20


def _cost(symbols: Bytes, n_bytes: int) -> float:
    counts = np.bincount(symbols)
    shares = counts[counts > 0] / len(symbols)
    entropy = -float((shares * np.log2(shares)).sum()) + (len(shares) - 1) / (2 * log(2) * len(symbols))
    return entropy + 8 * n_bytes / len(symbols)


def _sums(src: Bytes, base: Bytes, kind: tuple[int, int]) -> list[int]:
    """Bit length of the difference + exponent of the base, of each element."""
    top, found = 1 << (8 * kind[0] - 1), []
    for x, b in zip(integers(src, kind[0]), integers(base, kind[0]), strict=True):
        one, other = (y ^ (top - 1) if y & top else y for y in (x, b))
        d = (one - other) % (2 * top)
        found.append((d ^ (2 * top - 1) if d & top else d).bit_length() + (b % top >> kind[1]))
    return found


def _origin(variant: str, src: Bytes, base: Bytes, kind: tuple[int, int]) -> tuple[int, float]:
    kernels.select(variant)
    work: npt.NDArray[np.uint8] = np.full(kernels.ORIGIN_WORK, 0xAA, np.uint8)
    return kernels.delta_origin(src, base, kind[0], kind[1], X_LOG_X, work)


@pytest.mark.parametrize("kind", KINDS)
def test_the_origin_is_the_one_that_costs_least(kernel_variant: str, kind: tuple[int, int]) -> None:
    wild = elements(kind[0], 999)
    for src, base in (
        _steps(3000, kind, 1e-4),
        _steps(600, kind, 1e-7),
        (wild, near(wild, kind[0])),
        (wild, wild[::-1].copy()),
    ):
        origin, bits = _origin(kernel_variant, src, base, kind)
        assert (origin, bits) == _origin("scalar", src, base, kind)
        sums, costs = _sums(src, base, kind), {}
        for other in range(min(sums) - 1, max(sums) + 1):
            symbols, stream = _split(kernel_variant, src, base, kind, other)
            costs[other] = _cost(symbols, len(stream))
        assert bits == pytest.approx(min(costs.values()), abs=0.02)
        assert costs[origin] == pytest.approx(min(costs.values()), abs=0.02)


def test_an_origin_helps_where_steps_are_of_one_size_and_weights_are_not(kernel_variant: str) -> None:
    kernels.select(kernel_variant)
    after, before = _steps(4000, (4, 23), 1e-4)
    symbols, bits = np.empty(4000, np.uint8), np.empty(len(after) + kernels.BITS_SLACK, np.uint8)
    plain = _cost(symbols, kernels.delta_split(after, before, 4, True, symbols, bits))
    assert _origin(kernel_variant, after, before, (4, 23))[1] < plain - 0.3


def test_what_has_no_exponent_or_no_room_is_refused() -> None:
    src, symbols, bits, work = bytes(8), bytearray(2), bytearray(8 + kernels.BITS_SLACK), bytearray(kernels.ORIGIN_WORK)
    for width, is_float, mantissa, origin in ((4, False, 23, 0), (1, True, 3, 0), (4, True, 31, 0), (4, True, 19, 0)):
        with pytest.raises(ValueError, match=r"origin|exponent"):
            kernels.delta_split(src, src, width, is_float, bytearray(8 // width), bits, origin, mantissa)
        with pytest.raises(ValueError, match=r"origin|exponent"):
            kernels.delta_merge(bytes(8 // width), b"", src, width, is_float, bytearray(8), origin, mantissa)
    for origin in (-32769, 32768):
        with pytest.raises(ValueError, match="16-bit"):
            kernels.delta_split(src, src, 4, True, symbols, bits, origin, 23)
    for table, room, mantissa in ((X_LOG_X[:2], work, 23), (X_LOG_X, work[1:], 23), (X_LOG_X, work, 31)):
        with pytest.raises(ValueError, match=r"room|ORIGIN_WORK|exponent"):
            kernels.delta_origin(src, src, 4, mantissa, table, room)
    with pytest.raises(ValueError, match="as long as src"):
        kernels.delta_origin(src, bytes(4), 4, 23, X_LOG_X, work)
    assert kernels.delta_origin(b"", b"", 4, 23, X_LOG_X, work) == (0, 0.0)
