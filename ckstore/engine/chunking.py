"""Tensors → chunks: equal cuts by element count, so that weights, moments and copies of a model align one to one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ml_dtypes
import numpy as np

from ckstore.format.manifest import chunk_bytes
from ckstore.tensor import TensorView, item_bytes

INLINE_BYTES = 4096
"""Tensors under this many bytes live in the manifest."""

_SAMPLE = 32
_NUMPY = {"bfloat16": np.dtype(ml_dtypes.bfloat16), "float16": np.dtype(np.float16)}


@dataclass(frozen=True, slots=True)
class Slot:
    """One chunk of one tensor: the `index`-th, bytes [start, stop) of `view`."""

    tensor: int
    view: TensorView
    index: int
    start: int
    stop: int


Job = tuple[Slot, ...]
"""Chunks of the same element range that are encoded together, in order: a master before what is derived from it."""


def n_chunks(view: TensorView, chunk_elements: int) -> int:
    """How many chunks a tensor has; 0 if it lives in the manifest."""
    return 0 if view.nbytes < INLINE_BYTES else -(-view.nbytes // chunk_bytes(view.dtype, chunk_elements))


def jobs(views: Sequence[TensorView], chunk_elements: int) -> Iterator[Job]:
    """Every chunk of every tensor, once, in the order in which they are to be stored."""
    derived = find_derived(views)
    followers: dict[int, list[int]] = {}
    for follower, master in derived.items():
        followers.setdefault(master, []).append(follower)
    for number, view in enumerate(views):
        if number in derived:
            continue
        together = [number, *followers.get(number, [])]
        for index in range(n_chunks(view, chunk_elements)):
            yield tuple(
                _slot(views, member, index, chunk_elements)
                for member in together
                if index < n_chunks(views[member], chunk_elements)
            )


def _slot(views: Sequence[TensorView], number: int, index: int, chunk_elements: int) -> Slot:
    view = views[number]
    size = chunk_bytes(view.dtype, chunk_elements)
    return Slot(number, view, index, index * size, min(view.nbytes, (index + 1) * size))


def find_derived(views: Sequence[TensorView]) -> dict[int, int]:
    """Half-precision tensors that look like roundings of a float32 tensor of the same shape: {number: its master's}.

    Looks at a few elements only; the codec tests every chunk and falls back where the guess does not hold.
    """
    halves = [i for i, view in enumerate(views) if view.dtype in _NUMPY and view.nbytes >= INLINE_BYTES]
    shapes = {views[i].shape for i in halves}
    kinds = {views[i].dtype for i in halves}
    masters: dict[tuple[object, ...], int] = {}
    for i, view in enumerate(views):
        if view.dtype == "float32" and view.shape in shapes:
            sample = np.frombuffer(_sample(view), "<f4")
            with np.errstate(over="ignore", invalid="ignore"):
                for kind in kinds:
                    masters.setdefault((view.shape, kind, sample.astype(_NUMPY[kind]).tobytes()), i)
    found = ((i, masters.get((views[i].shape, views[i].dtype, _sample(views[i])))) for i in halves)
    return {i: master for i, master in found if master is not None}


def _sample(view: TensorView) -> bytes:
    size = item_bytes(view.dtype)
    n = view.nbytes // size
    starts = (0, max(0, n // 2 - _SAMPLE), max(0, n - _SAMPLE))
    return b"".join(bytes(view.read(start * size, min(n, start + _SAMPLE) * size)) for start in starts)
