"""How few bytes the checkpoints of a workload need by the best known predictions: the floor beside each share.

An estimate, not a bound: whoever predicts better gets below it. What it counts, tensor by tensor, checkpoint by
checkpoint, in bits an element; tables, headers and metadata are free, and the cheapest way is known without a search.

    nothing     a tensor that occurred before, or is the rounding of its float32 master
    a row's bit rows that did not change since the parent, or that a prediction gives bit for bit
    fields      entropies of the exponent and of the bytes of sign and mantissa; of integers, of their bytes
    factored    the same, the exponent less a row's and a column's factor of a byte each (moments, bits counted)
    to scale    of floats: entropy of magnitude class, sign and two leading bits of what is left of the words (the bits
                without the sign, near the logarithm of a size) when the means of rows and columns are taken off, or of
                their distance to a multiple of those of a prediction; the sign one bit, the bits below in full
    given       the same, exponent and sign coded in the context of the parent's
    xor         entropies of the bytes of the xor with the parent
    delta       entropy of magnitude class, sign and two leading bits of the difference to a prediction, as integers in
                the order of the numbers, in the context of the prediction's exponent or less row and column factors;
                the bits below are noise and count in full
    holes       entropy of where 0 and -0 are, and one of the above for the other elements

Entropies are of order 0 over a tensor, with the correction of Miller and Madow (1955): a sample shows too little. A
tensor of more than 2^17 changed elements is judged by so many, in rows at even distances. Predictions: predictions.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log, log2
from typing import Any

import blake3
import numpy as np
import numpy.typing as npt

from bench import cache, predictions, states
from bench.kinds import part_of

SAMPLE = 1 << 17
MANTISSA = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}
_LEAD = 2
_HOLE_SHARE = 0.02
_LEAST_ROWS = 8

Words = npt.NDArray[np.unsignedinteger]
"""Elements by their bits, (rows, columns) or flat."""


@dataclass(frozen=True, slots=True)
class Floor:
    """Of one workload: bits of each class of tensor, and logical bytes of all its checkpoints."""

    bits: dict[str, float]
    logical_bytes: int

    @property
    def share(self) -> float:
        """Bytes over logical bytes."""
        return sum(self.bits.values()) / 8 / self.logical_bytes

    def to_dict(self) -> dict[str, Any]:
        """The share, and the part of it that each class of tensor has."""
        parts = {name: round(bits / 8 / self.logical_bytes, 5) for name, bits in self.bits.items()}
        return {"share": round(self.share, 5), "parts": parts}


def measure(workload: str, size: str) -> Floor:
    """In a child: the floor of all checkpoints of a workload, each against its parent."""
    items, bits = cache.prepare(workload, size), Counter[str]()
    seen: set[bytes] = set()
    newest: dict[str, predictions.Named] = {}
    before: predictions.Named | None = None
    for item in items:
        now = predictions.Named(item.load())
        wanted = item.run if item.parent == "auto" else item.parent.partition("@")[0]
        before = newest.get(wanted, before)
        for entry in now.tensors.values():
            bits[part_of(entry.name)] += float(tensor_bits(entry, now, before, seen))
        before = newest[item.run] = now
    return Floor(dict(bits), sum(item.logical_bytes for item in items))


def tensor_bits(
    entry: states.NamedTensor, now: predictions.Named, before: predictions.Named | None, seen: set[bytes]
) -> float:
    """Bits of one tensor of `now`. seen: digests of the tensors so far, added to."""
    digest = blake3.blake3(entry.raw).digest()
    if digest in seen or predictions.is_rounding(entry, now):
        return 0.0
    seen.add(digest)
    x, base = predictions.words(entry.tensor), predictions.base_of(entry, before)
    side, rows = 0.0, np.arange(len(x))
    if base is not None:
        changed = (x != base).any(1)
        side, rows = entropy(changed) * len(x), np.flatnonzero(changed)
    if not len(rows):
        return side
    picked = rows[:: max(1, len(rows) * x.shape[1] // SAMPLE)]
    guesses = list(predictions.guesses(entry, now, before, picked)) if before is not None else []
    sampled = sample_bits(x[picked], guesses, MANTISSA.get(entry.dtype, 0), len(x))
    return side + sampled * len(rows) / len(picked)


def sample_bits(x: Words, guesses: Sequence[Words], mantissa: int, n_rows: int | None = None) -> float:
    """Bits of `x` given guesses of its shape, the first of them the parent. mantissa: its bits, 0 for integers.

    n_rows: of the whole tensor, by which the cost of column factors is shared; `x` is all if it is not given.
    """
    exact = np.zeros(len(x), bool)
    for guess in (*guesses, np.zeros_like(x)):
        exact |= (x == guess).all(1)
    left, rest = x[~exact], [guess[~exact] for guess in guesses]
    side = entropy(exact) * len(x)
    if not left.size:
        return side
    best = min(_ways(left, rest, mantissa, n_rows or len(x)))
    holes = (left == 0) + 2 * (left == type_of(x)(1 << (8 * x.dtype.itemsize - 1)))
    solid = holes == 0
    if _HOLE_SHARE < solid.mean() < 1 - _HOLE_SHARE:
        flat = [guess[solid].reshape(1, -1) for guess in rest]
        best = min(best, entropy(holes) + min(_ways(left[solid].reshape(1, -1), flat, mantissa, 1)) * solid.mean())
    return side + best * left.size


def _ways(x: Words, guesses: Sequence[Words], mantissa: int, n_rows: int) -> Iterator[float]:
    """Bits an element, way by way."""
    width = 8 * x.dtype.itemsize
    yield float(width)
    exponent = _exponent(x, mantissa)
    rest = _planes(_rotated(x) if mantissa else x, mantissa or width)
    top = entropy(exponent) if mantissa else 0.0
    yield top + rest
    if mantissa:
        yield _factored(exponent, np.zeros_like(exponent), n_rows) + rest
        yield from (_to_scale(x, guess, n_rows) for guess in (None, *guesses))
    for position, guess in enumerate(guesses):
        if position == 0:
            yield _planes(x ^ guess, width)
            if mantissa:
                yield _given(x, guess, mantissa, rest)
        yield from _delta(x, guess, mantissa, n_rows)


def _given(x: Words, base: Words, mantissa: int, rest: float) -> float:
    """The sign is one of the bits of `rest`: it leaves with one bit, and is counted again in its context."""
    signs = [(value >> (8 * value.dtype.itemsize - 1)).astype(np.int64) for value in (x, base)]
    exponents = [_exponent(value, mantissa) for value in (x, base)]
    return conditional(exponents[0], exponents[1]) + conditional(signs[0], signs[1]) + rest - 1


def _delta(x: Words, guess: Words, mantissa: int, n_rows: int) -> Iterator[float]:
    width = 8 * x.dtype.itemsize
    length, tail, noise = _classes(_ordered(x, mantissa) - _ordered(guess, mantissa), width)
    exponent = _exponent(guess, mantissa)
    yield conditional(8 * length + tail, exponent) + noise
    if mantissa:
        yield _factored(np.where(length > 0, length + exponent, 0), tail, n_rows) + noise


def _classes(difference: Words, width: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], float]:
    """Of signed integers of so many bits: lengths, two leading bits and sign, and the bits below on average."""
    sign = difference >> type_of(difference)(width - 1)
    size = np.where(sign > 0, ~difference, difference)
    length = _bit_length(size)
    low = np.maximum(length - 1 - _LEAD, 0)
    lead = (size >> low.astype(size.dtype)).astype(np.int64) & 3
    return length, 2 * lead + sign.astype(np.int64), float(low.mean())


def _to_scale(x: Words, guess: Words | None, n_rows: int) -> float:
    if min(x.shape) < _LEAST_ROWS:
        return float(8 * x.dtype.itemsize)
    left = _centred(x)
    if guess is not None and (squares := np.vdot(before := _centred(guess), before)):
        left -= np.vdot(left, before) / squares * before
    length, tail, noise = _classes(np.rint(left).astype(np.int64).view(np.uint64), 64)
    has_signs = bool((x >> type_of(x)(8 * x.dtype.itemsize - 1)).any())
    return entropy(8 * length + tail) + noise + has_signs + 8 / x.shape[1] + 8 / n_rows


def _centred(x: Words) -> npt.NDArray[np.float64]:
    """The bits without the sign, less the means of rows and columns."""
    words = (x & type_of(x)((1 << (8 * x.dtype.itemsize - 1)) - 1)).astype(np.float64)
    words -= words.mean(1, keepdims=True)
    return np.asarray(words - words.mean(0))


def _factored(classes: npt.NDArray[np.int64], tail: npt.NDArray[np.int64], n_rows: int) -> float:
    """Bits of `classes` less factors of rows and columns, in eighths, and of the three bits in `tail`."""
    if min(classes.shape) < _LEAST_ROWS:
        return float(8 * classes.dtype.itemsize)
    row = classes.mean(1, keepdims=True)
    column = (classes - row).mean(0, keepdims=True)
    left = classes - np.floor(np.round(8 * row) / 8 + np.round(8 * column) / 8 + 0.5).astype(np.int64)
    return entropy(8 * (left - left.min()) + tail) + 8 / classes.shape[1] + 8 / n_rows


def entropy(symbols: npt.NDArray[np.generic]) -> float:
    """Bits a symbol, of non-negative integers or bools."""
    counts = np.bincount(symbols.reshape(-1).astype(np.int64, copy=False))
    counts, n = counts[counts > 0], symbols.size
    seen = max(0.0, log2(n) - float((counts * np.log2(counts)).sum()) / n)
    return seen + (len(counts) - 1) / (2 * log(2) * n)


def conditional(symbols: npt.NDArray[np.int64], context: npt.NDArray[np.int64]) -> float:
    """Bits a symbol where the context is known."""
    return entropy(context * (int(symbols.max()) + 1) + symbols) - entropy(context)


def _planes(x: Words, n_bits: int) -> float:
    """Entropies of the bytes of the low `n_bits` bits and a sign below them; noise costs 8 bits a byte."""
    n_bytes = x.dtype.itemsize if n_bits == 8 * x.dtype.itemsize else (n_bits + 8) // 8
    parts = [(x >> type_of(x)(8 * i)).astype(np.int64) & 255 for i in range(n_bytes)]
    spare = 8 * n_bytes - n_bits - 1
    if 0 < spare < 8:
        parts[-1] &= 255 >> spare
    return sum(min(8.0, entropy(part)) for part in parts)


def type_of(x: Words) -> type:
    """The scalar type of an array: shifts by it keep the array's dtype."""
    return x.dtype.type


def _rotated(x: Words) -> Words:
    """The sign below the mantissa."""
    shift = type_of(x)
    return (x << shift(1)) | (x >> shift(8 * x.dtype.itemsize - 1))


def _exponent(x: Words, mantissa: int) -> npt.NDArray[np.int64]:
    if not mantissa:
        return np.zeros(x.shape, np.int64)
    width = 8 * x.dtype.itemsize - 1 - mantissa
    return (x >> type_of(x)(mantissa)).astype(np.int64) & ((1 << width) - 1)


def _ordered(x: Words, mantissa: int) -> Words:
    top = 8 * x.dtype.itemsize - 1
    return np.where(x >> type_of(x)(top), x ^ type_of(x)((1 << top) - 1), x) if mantissa else x


def _bit_length(x: Words) -> npt.NDArray[np.int64]:
    """By the exponent of the number as a double: of more than 53 bits one may be too many."""
    return np.maximum((x.astype(np.float64).view(np.int64) >> 52) - 1022, 0)
