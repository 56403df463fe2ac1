"""huffman_encode, huffman_decode: blocks that a stranger reads, alike from every variant, and nothing malformed."""

from __future__ import annotations

import numpy as np
import pytest

from ckstore._native import kernels
from kernels.data import OFFSETS, Bytes, at_offset
from unit.format.stranger_codecs import huffman

BLOCK = kernels.HUFFMAN_BLOCK
SIZES = (*range(1, 140), 511, 512, 513, 4097, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 77)


def _symbols(n: int, kind: str, seed: int = 0) -> Bytes:
    rng = np.random.default_rng([n, seed, len(kind)])
    if kind == "noise":
        return rng.integers(0, 256, n, np.uint8)
    if kind == "two":
        return rng.choice(np.array([3, 250], np.uint8), n, p=[0.9, 0.1])
    if kind == "deep":  # counts like powers of two: codes at the longest length and beyond
        return np.minimum(rng.geometric(0.5, n) - 1, 255).astype(np.uint8)
    if kind == "wide":
        return np.minimum(rng.geometric(0.03, n) - 1, 255).astype(np.uint8)
    return rng.binomial(30, 0.5, n).astype(np.uint8)


KINDS = ("noise", "two", "deep", "wide", "bell")


def _encode(variant: str, data: Bytes, offset: int = 0, step: int = 1) -> Bytes:
    kernels.select(variant)
    room = at_offset(np.full(kernels.huffman_bound(len(data)), 0xAA, np.uint8), offset)
    return room[: kernels.huffman_encode(data, room, np.full(kernels.HUFFMAN_WORK, 0x55, np.uint8), step)]


def _decode(stored: Bytes | bytes, n: int, offset: int = 0) -> bytes | None:
    out = at_offset(np.zeros(n, np.uint8), offset)
    whole = kernels.huffman_decode(stored, out, np.full(kernels.HUFFMAN_WORK, 0x55, np.uint8))
    return out.tobytes() if whole else None


@pytest.mark.parametrize("kind", KINDS)
def test_a_stranger_reads_the_blocks(kernel_variant: str, kind: str) -> None:
    for n in (1, 2, 3, 64, 1000, BLOCK + 500):
        data = _symbols(n, kind)
        assert huffman(_encode(kernel_variant, data).tobytes(), n) == data.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_every_variant_encodes_alike_and_decodes_any_other(kernel_variant: str, kind: str) -> None:
    for number, n in enumerate(SIZES):
        data = at_offset(_symbols(n, kind), OFFSETS[number % 64])
        stored = _encode(kernel_variant, data, OFFSETS[number * 3 % 64])
        assert stored.tobytes() == _encode("scalar", data).tobytes()
        for variant in kernels.variants():
            kernels.select(variant)
            assert _decode(at_offset(stored, OFFSETS[number * 7 % 64]), n, OFFSETS[number * 5 % 64]) == data.tobytes()


def test_the_longest_codes_are_cut_and_the_size_stays_near_the_entropy(kernel_variant: str) -> None:
    counts = [1, 1, *(2**k for k in range(1, 14))]  # Huffman's own codes would have up to 14 bits
    data = np.repeat(np.arange(len(counts), dtype=np.uint8), counts)
    data = np.random.default_rng(1).permutation(data)
    stored = _encode(kernel_variant, data)
    shares = np.array(counts) / len(data)
    assert stored[0] == 2
    assert len(stored) < -(shares * np.log2(shares)).sum() * len(data) / 8 * 1.01 + 40
    assert _decode(stored, len(data)) == data.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_code_from_a_part_of_the_counts_costs_next_to_nothing_and_has_all_symbols(
    kernel_variant: str, kind: str
) -> None:
    for n in (8191, 8192, BLOCK, BLOCK + 9000):
        data = _symbols(n, kind)
        data[np.array([70, n // 2, n - 1])] = (251, 252, 253)  # a sample shows none of them, or not all
        for step in (2, 3, 4, 16, 64):
            stored = _encode(kernel_variant, data, n % 64, step)
            assert stored.tobytes() == _encode("scalar", data, 0, step).tobytes()
            assert _decode(stored, n) == data.tobytes()
            if step <= 4 and kind != "wide":
                assert len(stored) <= len(_encode(kernel_variant, data)) * 1.01 + 20


def test_a_code_is_made_from_two_blocks_where_they_are_alike_and_from_one_where_they_are_not(
    kernel_variant: str,
) -> None:
    bell = _symbols(3 * BLOCK, "bell")
    for steps_up in (0, 1, 100):  # the third block is like the second, or a neighbour, or of other symbols altogether
        data = np.concatenate((bell[: 2 * BLOCK], bell[2 * BLOCK :] + np.uint8(steps_up)))
        stored = _encode(kernel_variant, data, 5, 4)
        assert stored.tobytes() == _encode("scalar", data, 0, 4).tobytes()
        assert _decode(stored, len(data)) == data.tobytes()
        assert len(stored) <= len(_encode(kernel_variant, data)) * 1.002
    for others in (bell[:BLOCK], np.where(np.arange(BLOCK) % 20, 7, bell[:BLOCK])):
        quiet = np.concatenate((others, np.full(BLOCK, 7))).astype(np.uint8)
        assert _encode(kernel_variant, quiet, 0, 4)[-2:].tobytes() == b"\1\7"


def test_a_sample_that_misleads_costs_bytes_but_never_truth(kernel_variant: str) -> None:
    data = np.random.default_rng(3).integers(0, 256, BLOCK, np.uint8)
    for step in (2, 4, 8):
        for shown in (data % 2, np.zeros_like(data)):
            mixed = np.where(np.arange(BLOCK) // 64 % step == 0, shown, data).astype(np.uint8)
            stored = _encode(kernel_variant, mixed, 0, step)
            assert len(stored) <= BLOCK + 1
            assert _decode(stored, BLOCK) == mixed.tobytes()


def test_blocks_are_raw_or_constant_where_that_is_less() -> None:
    noise = _symbols(BLOCK, "noise")
    stored = _encode(kernels.variants()[0], np.concatenate((noise, np.full(BLOCK, 7, np.uint8), noise[:1])))
    assert stored.tobytes() == b"\0" + noise.tobytes() + b"\1\7" + b"\1" + noise[:1].tobytes()


def test_whatever_byte_is_changed_the_variants_agree_and_nothing_else_happens(kernel_variant: str) -> None:
    rng = np.random.default_rng(5)
    for number in range(600):
        n = int(rng.integers(1, 700))
        stored = _encode("scalar", _symbols(n, KINDS[number % 5], number)).copy()
        stored[int(rng.integers(0, min(len(stored), 60)))] = rng.integers(0, 256)
        if number % 3 == 0:
            stored = stored[: int(rng.integers(1, len(stored) + 1))]
        kernels.select("scalar")
        expected = _decode(stored, n)
        kernels.select(kernel_variant)
        assert _decode(stored, n) == expected


GOOD = bytes([2, 5, 7, 0x8B, 0x01, 0b0110, 0b01])
"""Symbols 5 (2 bits), 6 (1 bit), 7 (2 bits): 6, then 7 5, then 6."""


def test_a_block_that_was_made_by_hand() -> None:
    assert huffman(GOOD, 4) == bytes([6, 7, 5, 6])
    assert _decode(GOOD, 4) == bytes([6, 7, 5, 6])


@pytest.mark.parametrize(
    ("why", "stored"),
    [
        ("nothing", b""),
        ("an unknown kind of block", b"\3" + GOOD[1:]),
        ("cut in the tree", GOOD[:-1]),
        ("cut in the lengths", GOOD[:4]),
        ("something behind the end", GOOD + b"\0"),
        ("first symbol above the last", bytes([2, 7, 5]) + GOOD[3:]),
        ("only one symbol", bytes([2, 5, 5, 0x07, 0])),
        ("the first symbol does not occur", bytes([2, 4, 7, 0xC3, 0x62, 0b0110, 0b01])),
        ("the last symbol does not occur", bytes([2, 5, 8, 0x8B, 0x0D, 0b0110, 0b01])),
        ("spare bits behind the lengths", bytes([2, 5, 7, 0x8B, 0x05, 0b0110, 0b01])),
        ("a code that is not complete", bytes([2, 5, 7, 0x0B, 0x00, 0b0110, 0b01])),
        ("a code that is overfull", bytes([2, 5, 7, 0x07, 0x00, 0b0110, 0b01])),
        ("a length of 13", bytes([2, 5, 7, 0x37, 0x00, 0b0110, 0b01])),
        ("one more than 12", bytes([2, 5, 7, 0x01, 0x00, 0b0110, 0b01])),
        ("one less than 0", bytes([2, 5, 7, 0xCB, 0x20, 0b0110, 0b01])),
        ("spare bits of the root", GOOD[:-2] + bytes([0b10110, 0b01])),
        ("spare bits of a child", GOOD[:-1] + bytes([0b101])),
        ("raw and cut", b"\0abc"),
        ("raw and longer", b"\0abcde"),
        ("constant without its byte", b"\1"),
    ],
)
def test_malformed_blocks_are_refused(kernel_variant: str, why: str, stored: bytes) -> None:
    kernels.select(kernel_variant)
    assert _decode(stored, 4) is None, why


def test_memory_that_does_not_fit_is_refused() -> None:
    work = bytearray(kernels.HUFFMAN_WORK)
    with pytest.raises(ValueError, match="worst case"):
        kernels.huffman_encode(bytes(100), bytearray(100), work)
    with pytest.raises(ValueError, match="HUFFMAN_WORK"):
        kernels.huffman_encode(bytes(100), bytearray(200), work[:-1])
    for step in (0, 65):
        with pytest.raises(ValueError, match="step"):
            kernels.huffman_encode(bytes(100), bytearray(200), work, step)
    with pytest.raises(ValueError, match="HUFFMAN_WORK"):
        kernels.huffman_decode(bytes(100), bytearray(200), work[:-1])
    with pytest.raises(ValueError, match="overlaps"):
        kernels.huffman_decode(work, bytearray(8), work)


def test_nothing_is_coded_as_nothing() -> None:
    work = bytearray(kernels.HUFFMAN_WORK)
    assert kernels.huffman_encode(b"", bytearray(), work) == 0
    assert kernels.huffman_decode(b"", bytearray(), work)
    assert not kernels.huffman_decode(b"\0", bytearray(), work)
    assert not kernels.huffman_decode(b"", bytearray(1), work)
