"""Strided host memory <-> ranges of bytes in logical C order, copying no more than the range asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, TypeAlias

import numpy as np

from ckstore.tensor import Destination

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
Box: TypeAlias = tuple[tuple[int | slice, ...], int, int]
"""An index into an array, and the first and last position in C order of what it selects."""


def boxes(shape: tuple[int, ...], start: int, stop: int) -> Iterator[Box]:
    """Split elements [start, stop) in C order into at most 2·ndim − 1 boxes, in order. REQUIRES: ndim >= 1."""
    if start >= stop:
        return
    inner = prod(shape[1:])
    first, last = -(-start // inner), stop // inner  # whole rows
    if first > last:
        yield from _inside(shape, first - 1, start, stop)
        return
    yield from _inside(shape, first - 1, start, first * inner)
    if first < last:
        yield (slice(first, last),), first * inner, last * inner
    yield from _inside(shape, last, last * inner, stop)


def reader(array: Array, mask: Array | None = None) -> Callable[[int, int], memoryview]:
    """TensorView.read of `array`: views where it is contiguous and unmasked, private copies elsewhere.

    mask: one item of bytes to `and` with every item, so that padding always reads as zero.
    """
    if mask is None and array.flags.c_contiguous:
        data = as_bytes(array).toreadonly()
        return lambda start, stop: data[start:stop]
    items = _items(array)

    def read(start: int, stop: int) -> memoryview:
        size = items.dtype.itemsize
        copy = np.empty((stop - start) // size, items.dtype)
        for index, a, b in boxes(items.shape, start // size, stop // size):
            part = items[index]
            copy[a - start // size : b - start // size].reshape(part.shape)[...] = part
        if mask is not None:
            masked = copy.view(np.uint8).reshape(-1, size)
            np.bitwise_and(masked, mask, out=masked)
        return as_bytes(copy)

    return read


def destination(array: Array, *, exclusive: bool = True) -> Destination:
    """Destination that fills `array`.

    exclusive=False: other destinations share its memory, so only finished bytes may ever be put there: no windows.
    """
    items = _items(array)
    data = as_bytes(array) if array.flags.c_contiguous else None

    def window(start: int, stop: int) -> memoryview | None:
        return data[start:stop] if exclusive and data is not None else None

    def write(start: int, source: memoryview) -> None:
        if data is not None:
            data[start : start + source.nbytes] = source.cast("B")
            return
        given, first = np.frombuffer(source, items.dtype), start // items.dtype.itemsize
        for index, a, b in boxes(items.shape, first, first + given.size):
            part = items[index]
            part[...] = given[a - first : b - first].reshape(part.shape)

    return Destination(window, write)


def as_bytes(array: Array) -> memoryview:
    """The memory of a C-contiguous array; it keeps the array alive."""
    return array.reshape(-1).view(np.uint8).data


def dense_order(array: Array) -> list[int] | None:
    """The dims from outermost to innermost if `array` is a transposed dense one (Fortran order, say), else None."""
    if array.flags.c_contiguous:
        return None
    order = sorted(range(array.ndim), key=lambda dim: -array.strides[dim])
    return order if array.transpose(order).flags.c_contiguous else None


def _items(array: Array) -> Array:
    """`array` as items without meaning: copies of them are plain byte copies, of integers where there are such."""
    size = array.dtype.itemsize
    items = array.view(f"u{size}" if size in (1, 2, 4, 8) else np.dtype((np.void, size)))
    return items if items.ndim else items.reshape(1)


def _inside(shape: tuple[int, ...], row: int, start: int, stop: int) -> Iterator[Box]:
    """The boxes of a range that lies inside one row."""
    offset = row * prod(shape[1:])
    for index, a, b in boxes(shape[1:], start - offset, stop - offset) if start < stop else ():
        yield (row, *index), a + offset, b + offset
