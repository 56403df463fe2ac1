"""delta_split, delta_merge: differences in the order of the numbers, as symbols and a bit stream."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from ckstore._native import kernels
from kernels.data import OFFSETS, SIZES, WIDTHS, Bytes, at_offset, elements, integers, near

CASES = [(width, is_float) for width in WIDTHS for is_float in (False, True)]
HEAD = {1: 6, 2: 3, 4: 2, 8: 1}


def _order(x: int, bits: int, is_float: bool) -> int:
    return x ^ ((1 << (bits - 1)) - 1) if is_float and x >> (bits - 1) else x


def _defined(src: Bytes, base: Bytes, width: int, is_float: bool) -> tuple[bytes, bytes]:
    bits, symbols, stream, length = 8 * width, [], 0, 0
    for x, b in zip(integers(src, width), integers(base, width), strict=True):
        d = (_order(x, bits, is_float) - _order(b, bits, is_float)) % (1 << bits)
        s = d >> (bits - 1)
        g = d ^ ((1 << bits) - 1) if s else d
        k = max(0, g.bit_length() - 1 - HEAD[width])
        symbols.append(2 * ((k << HEAD[width]) + (g >> k)) + s)
        stream |= (g & ((1 << k) - 1)) << length
        length += k
    return bytes(symbols), stream.to_bytes((length + 7) // 8, "little")


def _split(variant: str, src: Bytes, base: Bytes, width: int, is_float: bool, offset: int = 0) -> tuple[Bytes, Bytes]:
    kernels.select(variant)
    symbols = at_offset(np.full(len(src) // width, 0xAA, np.uint8), offset)
    bits = at_offset(np.full(len(src) + kernels.BITS_SLACK, 0xAA, np.uint8), 63 - offset)
    used = kernels.delta_split(src, base, width, is_float, symbols, bits)
    return symbols, bits[:used]


@pytest.mark.parametrize(("width", "is_float"), CASES)
def test_delta_split_is_what_its_definition_says(kernel_variant: str, width: int, is_float: bool) -> None:
    src = elements(width, 900)
    for base in (near(src, width), elements(width, 900, seed=1)):
        symbols, bits = _split(kernel_variant, src, base, width, is_float)
        assert (symbols.tobytes(), bits.tobytes()) == _defined(src, base, width, is_float)


@pytest.mark.parametrize(("width", "is_float"), CASES)
def test_every_variant_codes_alike_and_undoes_any_other(kernel_variant: str, width: int, is_float: bool) -> None:
    for number, n in enumerate(SIZES):
        src = at_offset(elements(width, n), OFFSETS[number % 64])
        base = at_offset(near(src, width), OFFSETS[number * 7 % 64])
        reference = _split("scalar", src, base, width, is_float)
        symbols, bits = _split(kernel_variant, src, base, width, is_float, OFFSETS[number * 3 % 64])
        assert (symbols.tobytes(), bits.tobytes()) == (reference[0].tobytes(), reference[1].tobytes())
        for variant in kernels.variants():
            kernels.select(variant)
            back = at_offset(np.zeros(len(src), np.uint8), OFFSETS[number * 5 % 64])
            assert kernels.delta_merge(symbols, bits, base, width, is_float, back)
            assert back.tobytes() == src.tobytes()


def test_a_step_of_one_float_is_a_step_of_one() -> None:
    values = [-1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0]
    src = np.frombuffer(struct.pack("<6d", *np.nextafter(values, np.inf)), np.uint8)
    symbols, bits = _split("scalar", src, np.frombuffer(struct.pack("<6d", *values), np.uint8), 8, True)
    assert bits.tobytes() == b""
    # The float above -5e-324 is -0.0; the one above either zero is 5e-324, which is two integers above -0.0.
    assert symbols.tolist() == [2, 2, 4, 2, 2, 2]


@pytest.mark.parametrize(("width", "is_float"), CASES)
def test_a_bit_stream_of_another_length_is_refused(kernel_variant: str, width: int, is_float: bool) -> None:
    for n in (1, 300, 513):
        src = elements(width, n)
        base = elements(width, n, seed=1)
        symbols, bits = _split(kernel_variant, src, base, width, is_float)
        out = bytearray(len(src))
        assert not kernels.delta_merge(symbols, bits.tobytes() + b"\0", base, width, is_float, out)
        if len(bits):
            assert not kernels.delta_merge(symbols, bits[:-1], base, width, is_float, out)
            assert not kernels.delta_merge(symbols, b"", base, width, is_float, out)


def test_spare_bits_that_are_not_zero_are_refused(kernel_variant: str) -> None:
    refused = 0
    for n in range(1, 40):
        src, base = elements(4, n), elements(4, n, seed=1)
        symbols, bits = _split(kernel_variant, src, base, 4, True)
        if len(bits) and bits[-1] < 0x80:
            spoiled = bits.copy()
            spoiled[-1] |= 0x80
            out = bytearray(4 * n)
            ok = kernels.delta_merge(symbols, spoiled, base, 4, True, out)
            assert not ok or bytes(out) != src.tobytes()
            refused += not ok
    assert refused > 10


@pytest.mark.parametrize("width", [2, 4, 8])
def test_a_symbol_of_a_class_that_cannot_be_is_refused(kernel_variant: str, width: int) -> None:
    most = 8 * width - 2 - HEAD[width]
    bad = 2 * ((most + 1 << HEAD[width]) + (1 << HEAD[width]))
    for at in (0, 255, 256, 299):
        symbols = np.zeros(300, np.uint8)
        symbols[at] = bad
        zeros, out = bytes(300 * width), bytearray(300 * width)
        assert not kernels.delta_merge(symbols, bytes((most + 8) // 8), zeros, width, True, out)


def test_any_symbols_and_bits_decode_alike_or_not_at_all() -> None:
    rng = np.random.default_rng(5)
    for number in range(600):
        width, n = WIDTHS[number % 4], int(rng.integers(0, 600))
        symbols = rng.integers(0, rng.integers(1, 257), n, np.uint8)
        bits = rng.integers(0, 256, int(rng.integers(0, n * width + 2)), np.uint8)
        base = elements(width, n)
        results = set()
        for variant in kernels.variants():
            kernels.select(variant)
            out = bytearray(n * width)
            ok = kernels.delta_merge(symbols, bits, base, width, True, out)
            results.add((ok, bytes(out) if ok else b""))
        assert len(results) == 1


def test_lengths_that_do_not_fit_are_refused() -> None:
    room = bytearray(8 + kernels.BITS_SLACK)
    with pytest.raises(ValueError, match="as long as src"):
        kernels.delta_split(bytes(8), bytes(4), 4, True, bytearray(2), room)
    with pytest.raises(ValueError, match="a byte per element"):
        kernels.delta_split(bytes(8), bytes(8), 4, True, bytearray(3), room)
    with pytest.raises(ValueError, match="worst case"):
        kernels.delta_split(bytes(8), bytes(8), 4, True, bytearray(2), bytearray(8))
    with pytest.raises(ValueError, match="overlaps"):
        kernels.delta_split(memoryview(room)[:8], bytes(8), 4, True, bytearray(2), room)
    with pytest.raises(ValueError, match="as long as dst"):
        kernels.delta_merge(bytes(2), b"", bytes(4), 4, True, bytearray(8))
