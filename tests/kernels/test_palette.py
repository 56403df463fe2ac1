"""palette_encode, palette_decode: what a stranger reads, alike from every variant, and nothing malformed."""

from __future__ import annotations

import numpy as np
import pytest

from ckstore._native import kernels
from kernels.data import OFFSETS, SIZES, Bytes, at_offset
from unit.format.stranger_codecs import palette


def _symbols(n: int, kind: str) -> Bytes:
    rng = np.random.default_rng([n, len(kind)])
    if kind == "fifteen":
        return (rng.integers(0, 15, n) * 17 + 3).astype(np.uint8)
    if kind == "mostly":
        return np.where(rng.random(n) < 0.97, rng.binomial(12, 0.5, n) + 100, rng.integers(0, 256, n)).astype(np.uint8)
    return rng.binomial(40, 0.5, n).astype(np.uint8)


KINDS = ("fifteen", "mostly", "bell")


def _encode(variant: str, data: Bytes, offset: int = 0) -> Bytes:
    kernels.select(variant)
    out = at_offset(np.full(len(data), 0xAA, np.uint8), offset)
    return out[: kernels.palette_encode(data, out)]


def _decode(stored: Bytes | bytes, n: int, offset: int = 0) -> bytes | None:
    out = at_offset(np.zeros(n, np.uint8), offset)
    return out.tobytes() if kernels.palette_decode(stored, out) else None


@pytest.mark.parametrize("kind", KINDS)
def test_every_variant_encodes_alike_and_decodes_any_other(kernel_variant: str, kind: str) -> None:
    made = 0
    for number, n in enumerate((*SIZES, 9999, 40_001)):
        data = at_offset(_symbols(n, kind), OFFSETS[number % 64])
        stored = _encode(kernel_variant, data, OFFSETS[number * 3 % 64])
        assert stored.tobytes() == _encode("scalar", data).tobytes()
        if not len(stored):
            continue
        made += 1
        assert palette(stored.tobytes(), n) == data.tobytes()
        for variant in kernels.variants():
            kernels.select(variant)
            assert _decode(at_offset(stored, OFFSETS[number * 7 % 64]), n, OFFSETS[number * 5 % 64]) == data.tobytes()
    assert made > 100


def test_the_palette_is_the_most_frequent_and_the_rest_is_apart(kernel_variant: str) -> None:
    data = np.repeat(np.arange(20, dtype=np.uint8), np.arange(40, 20, -1))
    stored = _encode(kernel_variant, data)
    assert stored[:15].tolist() == list(range(15))
    assert stored[15 + (len(data) + 1) // 2 :].tobytes() == data[data >= 15].tobytes()


def test_what_would_not_get_smaller_is_left(kernel_variant: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, 10_000, np.uint8)
    for data in (noise, noise[:1], noise[:29] % 2, np.arange(256, dtype=np.uint8)):
        assert not len(_encode(kernel_variant, data))


GOOD = bytes(range(65, 80)) + b"\x10\xf2\x03" + b"!"
"""Five symbols: A B, C and an escape, D."""


def test_a_stream_that_was_made_by_hand(kernel_variant: str) -> None:
    kernels.select(kernel_variant)
    assert _decode(GOOD, 5) == palette(GOOD, 5) == b"ABC!D"


@pytest.mark.parametrize(
    ("why", "stored", "n"),
    [
        ("nothing", b"", 5),
        ("cut in the palette", GOOD[:14], 5),
        ("cut in the numbers", GOOD[:17], 5),
        ("an escape too few", GOOD[:-1], 5),
        ("an escape too many", GOOD + b"?", 5),
        ("a spare half that is not 0", GOOD[:17] + b"\x13" + GOOD[18:], 5),
        ("a spare half that asks for an escape", GOOD[:17] + b"\xf3" + GOOD[18:] + b"?", 5),
        ("fewer symbols", GOOD, 4),
        ("more symbols", GOOD, 7),
        ("no symbol", GOOD, 0),
    ],
)
def test_malformed_streams_are_refused(kernel_variant: str, why: str, stored: bytes, n: int) -> None:
    kernels.select(kernel_variant)
    assert _decode(stored, n) is None, why


def test_whatever_byte_is_changed_the_variants_agree(kernel_variant: str) -> None:
    rng = np.random.default_rng(6)
    for number in range(300):
        n = int(rng.integers(40, 900))
        stored = _encode("scalar", _symbols(n, "mostly")).copy()
        if len(stored):
            stored[int(rng.integers(0, len(stored)))] = rng.integers(0, 256)
            stored = stored[: len(stored) - number % 3]
        kernels.select("scalar")
        expected = _decode(stored, n)
        kernels.select(kernel_variant)
        assert _decode(stored, n) == expected


def test_memory_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="as long as"):
        kernels.palette_encode(bytes(100), bytearray(99))
    room = bytearray(200)
    with pytest.raises(ValueError, match="overlaps"):
        kernels.palette_encode(room, room)
    with pytest.raises(ValueError, match="overlaps"):
        kernels.palette_decode(room, room)
