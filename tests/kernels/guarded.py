"""Run as a script: every kernel that takes stored bytes, with each input against a page that may not be touched.

A read or write outside an input kills the process.
"""

from __future__ import annotations

import ctypes
import mmap
import random

import numpy as np

from ckstore._native import kernels
from kernels.data import WIDTHS, Bytes

PAGE = mmap.PAGESIZE
_LIBC = ctypes.CDLL(None, use_errno=True)
_held: list[mmap.mmap] = []


def guarded(data: bytes, at_end: bool) -> Bytes:
    """A copy of `data` that ends, or begins, at a page without access."""
    n_pages = max(1, -(-len(data) // PAGE))
    room = mmap.mmap(-1, (n_pages + 2) * PAGE)
    _held.append(room)
    view = np.frombuffer(room, np.uint8)
    for guard in (0, n_pages + 1):
        address = ctypes.c_void_p(view.ctypes.data + guard * PAGE)
        assert _LIBC.mprotect(address, ctypes.c_size_t(PAGE), 0) == 0
    start = (n_pages + 1) * PAGE - len(data) if at_end else PAGE
    view[start : start + len(data)] = np.frombuffer(data, np.uint8)
    return view[start : start + len(data)]


def _symbols(rng: random.Random, n: int, width: int) -> bytes:
    valid = {1: 256, 2: 208, 4: 240, 8: 252}[width]
    most = rng.choice((1, 20, valid, valid, 256))
    return bytes(rng.randrange(most) for _ in range(n))


def _huffman_blocks(rng: random.Random, n: int) -> bytes:
    """Blocks of n bytes, whole or with one byte changed, or cut."""
    data = bytes(min(int(rng.expovariate(0.1)), 255) for _ in range(n))
    out = bytearray(kernels.huffman_bound(n))
    stored = out[: kernels.huffman_encode(data, out, bytearray(kernels.HUFFMAN_WORK))]
    if rng.random() < 0.7:
        stored[rng.randrange(min(len(stored), rng.choice((4, 40, 4000))))] = rng.randrange(256)
    return bytes(stored[: rng.choice((len(stored), rng.randrange(len(stored)) + 1))])


def _recentred(rng: random.Random, n: int, at_end: bool) -> None:
    """Hostile symbols, then honest ones; an origin and mantissa that suit the base, or do not."""
    width, mantissa = rng.choice(((2, 7), (2, 10), (4, 23), (8, 52)))
    origin = rng.choice((-32768, 0, 110, 1 << (8 * width - 2 - mantissa), 32767))
    base, out = guarded(rng.randbytes(n * width), at_end), guarded(bytes(n * width), at_end)
    symbols = bytes(rng.randrange(rng.choice((8, 248, 256))) for _ in range(n))
    bits = guarded(rng.randbytes(rng.choice((0, n, n * width))), at_end)
    kernels.delta_merge(guarded(symbols, at_end), bits, base, width, True, out, origin, mantissa)
    coded, room = guarded(bytes(n), at_end), guarded(bytes(n * width + kernels.BITS_SLACK), at_end)
    used = kernels.delta_split(out, base, width, True, coded, room, origin, mantissa)
    stored = guarded(room[:used].tobytes(), at_end)
    assert kernels.delta_merge(coded, stored, base, width, True, out, origin, mantissa)
    work = np.empty(kernels.ORIGIN_WORK, np.uint8)
    kernels.delta_origin(out, base, width, mantissa, np.zeros(n + 1, np.uint32), work)


def _predicted(rng: random.Random, n: int, at_end: bool) -> None:
    kind, n_bases, n_coefficients = rng.choice(((1, 1, 1), (1, 4, 4), (2, 3, 5), (2, 4, 5), (3, 3, 3)))
    dtypes = [rng.randrange(3) for _ in range(n_bases)]
    bases = [guarded(rng.randbytes(n * (2 if dtype else 4)), at_end) for dtype in dtypes]
    coefficients = [rng.choice((0.0, 1.0, -1e-3, float("inf"))) for _ in range(n_coefficients)]
    out_dtype, masked = rng.randrange(3), (kind, n_bases) in ((2, 4), (3, 3)) and rng.random() < 0.5
    out = guarded(bytes(n * (2 if out_dtype else 4)), at_end)
    kernels.predict(kind, bases, dtypes, coefficients, masked, out_dtype, out)


def _matrix(rng: random.Random, n: int, at_end: bool) -> None:
    """Elements brought to the scale of a matrix, summed over it, and turned."""
    width, columns = rng.choice((2, 4)), rng.choice((1, 2, 3, 255, 256, 257, n, n + 9))
    start, slope = rng.choice((0, rng.randrange(columns), columns - 1)), rng.getrandbits(32)
    n_rows, shift, turned = -(-(start + n) // columns), rng.randrange(8 * width - 1), rng.random() < 0.5
    src, out = guarded(rng.randbytes(n * width), at_end), guarded(bytes(n * width), at_end)
    under = rng.choice((src, None))
    rows, of_columns = (guarded(rng.randbytes(size), at_end).view(np.int8) for size in (n_rows, columns))
    kernels.scaled(under, width, slope, slope, shift, columns, start, rows, of_columns, turned, out)
    sums = [guarded(bytes(8 * size), at_end).view(np.int64) for size in (n_rows, columns)]
    kernels.word_sums(out, under, width, (slope >> 16) + 1, columns, start, *sums)
    kernels.turn(src, width, turned, out)


def _work() -> Bytes:
    return np.empty(kernels.HUFFMAN_WORK, np.uint8)


def palettes_and_gaps(rng: random.Random, at_end: bool, data: Bytes) -> None:
    """Palettes and gaps of `data`, whole and with something changed."""
    n, room = len(data), guarded(bytes(len(data)), at_end)
    used, out = kernels.palette_encode(data, room), guarded(bytes(len(data)), at_end)
    stored = bytearray(room[:used])
    if stored and rng.random() < 0.7:
        stored[rng.randrange(used)] = rng.randrange(256)
        stored = stored[: rng.randrange(used) + 1]
    kernels.palette_decode(guarded(bytes(stored), at_end), out)
    most = rng.randrange(n) + 1
    gaps, values = guarded(bytes(4 * most), at_end), guarded(bytes(most), at_end)
    count = max(0, kernels.gap_split(data, 9, gaps, values))
    if rng.random() < 0.5 and count:
        gaps[4 * rng.randrange(count) + rng.randrange(4)] = rng.randrange(256)
    exact = guarded(gaps[: 4 * count].tobytes(), at_end), guarded(values[:count].tobytes(), at_end)
    kernels.gap_merge(*exact, 9, out)


def decode_anything(rng: random.Random, at_end: bool) -> None:
    """One hostile call of each decoder, and one honest call of each encoder."""
    width, n = rng.choice(WIDTHS), rng.choice((1, 2, 7, 8, 9, 63, 255, 256, 257, 511, 700))
    base, out = guarded(rng.randbytes(n * width), at_end), guarded(bytes(n * width), at_end)
    bits = guarded(rng.randbytes(rng.randrange(n * width + 2)), at_end)
    kernels.delta_merge(guarded(_symbols(rng, n, width), at_end), bits, base, width, True, out)
    symbols, room = guarded(bytes(n), at_end), guarded(bytes(n * width + kernels.BITS_SLACK), at_end)
    used = kernels.delta_split(out, base, width, True, symbols, room)
    assert kernels.delta_merge(symbols, guarded(room[:used].tobytes(), at_end), base, width, True, out)
    _recentred(rng, n, at_end)
    _predicted(rng, n, at_end)
    _matrix(rng, n, at_end)
    bitmap = guarded(rng.randbytes((n + 7) // 8), at_end)
    values = guarded(rng.randbytes(rng.randrange(n + 1) * width), at_end)
    kernels.sparse_merge(bitmap, values, width, 5, out)
    kernels.sparse_split(base, width, 5, bitmap, out)
    kernels.split(base, width, True, out)
    kernels.merge([guarded(rng.randbytes(n), at_end) for _ in range(width)], True, out)
    blocks = guarded(_huffman_blocks(rng, n), at_end)
    kernels.huffman_decode(blocks, guarded(bytes(n), at_end), np.empty(kernels.HUFFMAN_WORK, np.uint8))
    room = guarded(bytes(kernels.huffman_bound(n)), at_end)
    kernels.huffman_encode(symbols, room, np.empty(kernels.HUFFMAN_WORK, np.uint8))
    palettes_and_gaps(rng, at_end, guarded(bytes(min(rng.randrange(20), 9) for _ in range(n)), at_end))
    long = guarded(rng.randbytes(8192 + n), at_end)  # so long that a code is made from a part of it
    kernels.huffman_encode(long, np.empty(kernels.huffman_bound(len(long)), np.uint8), _work(), rng.choice((2, 4)))
    kernels.histogram(base, 1, np.empty((1, 256), np.uint32))
    kernels.is_constant(base, width)
    kernels.profile(base, 1, np.zeros(len(base) + 1, np.uint32), np.empty((1, kernels.PROFILE), np.uint32))


if __name__ == "__main__":
    source = random.Random(9)
    for number in range(400):
        for variant in kernels.variants():
            kernels.select(variant)
            decode_anything(source, at_end=number % 2 == 0)
        _held.clear()
    print("whole")
