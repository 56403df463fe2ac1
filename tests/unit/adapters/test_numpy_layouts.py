"""NumPy arrays in every memory order, and how little of them is copied."""

from __future__ import annotations

import tracemalloc
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from ckstore.adapters import tree
from ckstore.tensor import TensorView
from unit.adapters.memory_engine import Saved, fill, round_trip
from unit.adapters.sameness import assert_same

PADDED = np.dtype([("a", "i1"), ("b", "<f8", (2,))], align=True)


def the_view(array: Any) -> TensorView:
    row = tree.flatten(array)[0]
    assert isinstance(row, TensorView)
    return row


LAYOUTS: list[tuple[str, Any]] = [
    ("fortran", np.asfortranarray(np.arange(60).reshape(3, 4, 5))),
    ("permuted", np.arange(60).reshape(3, 4, 5).transpose(1, 0, 2)),
    ("reversed", np.arange(60).reshape(3, 4, 5)[::-1, :, ::-2]),
    ("steps", np.arange(60).reshape(3, 4, 5)[:, 1::2, 1:4]),
    ("column", np.arange(60.0).reshape(12, 5)[:, 2]),
    ("broadcast", np.broadcast_to(np.arange(5, dtype=np.int16), (3, 4, 5))),
    ("bfloat16 transposed", np.arange(12).reshape(3, 4).astype(ml_dtypes.bfloat16).T),
    ("structured steps", np.zeros(9, PADDED)[::2]),
    ("unaligned field", np.zeros(9, [("x", "u1"), ("y", "<f4")])["y"]),
    ("0-d", np.array(3.5)),
    ("empty", np.empty((0, 3, 4))),
    ("empty fortran", np.empty((3, 0), order="F")),
    ("ones", np.ones((1, 1, 1, 5))),
]


@pytest.mark.parametrize("array", [array for _, array in LAYOUTS], ids=[name for name, _ in LAYOUTS])
def test_every_memory_layout_is_read_in_c_order(array: Any) -> None:
    assert_same(array, round_trip(array))
    saved = Saved(array)
    assert saved.data[()] == np.ascontiguousarray(array).tobytes()


def test_fortran_and_permuted_arrays_come_back_in_their_order() -> None:
    for _, array in LAYOUTS[:2]:
        assert round_trip(array).strides == array.strides
    assert round_trip(LAYOUTS[2][1]).flags.c_contiguous


def test_a_contiguous_array_is_viewed_and_never_copied() -> None:
    array = np.zeros((64, 1024))
    view = the_view(array)
    array[3, 5] = 7
    assert np.frombuffer(view.read(0, view.nbytes)).reshape(array.shape)[3, 5] == 7
    assert view.read(0, 8).readonly
    tracemalloc.start()
    view.read(0, view.nbytes)
    assert tracemalloc.get_traced_memory()[1] < 10_000
    tracemalloc.stop()


def test_only_the_range_asked_for_is_copied() -> None:
    array = np.arange(1 << 17, dtype=np.int64).reshape(256, 512).T
    view, expected = the_view(array), np.ascontiguousarray(array).tobytes()
    tracemalloc.start()
    piece = view.read(8 * 1000, 8 * 3000)
    assert tracemalloc.get_traced_memory()[1] < 3 * len(piece)
    tracemalloc.stop()
    assert bytes(piece) == expected[8000:24000]


def test_a_contiguous_array_is_loaded_without_a_second_copy() -> None:
    array = np.arange(1000.0)
    saved = Saved(array)
    target = tree.destinations(saved.rows)[()]
    fill(target.destination, saved.data[()], 8)
    assert target.destination.window(0, 8) is not None
    leaf = target.finish()
    leaf_at = target.destination.window(0, 8)
    assert leaf_at is not None
    leaf_at[:] = np.float64(9.0).tobytes()
    assert leaf[0] == 9.0
