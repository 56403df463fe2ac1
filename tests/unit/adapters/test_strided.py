"""Ranges of strided memory."""

from __future__ import annotations

import itertools
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckstore.adapters.strided import boxes, destination, reader

SHAPES = [(7,), (1,), (3, 4), (4, 1), (1, 4), (2, 3, 4), (2, 1, 3), (2, 2, 2, 2)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_boxes_cover_every_range_exactly_once_and_in_order(shape: tuple[int, ...]) -> None:
    elements = np.arange(prod(shape)).reshape(shape)
    for start, stop in itertools.combinations_with_replacement(range(elements.size + 1), 2):
        found, at = [], start
        for index, a, b in boxes(shape, start, stop):
            assert a == at
            found += elements[index].reshape(-1).tolist()
            at = b
        assert found == list(range(start, stop))
        assert len(list(boxes(shape, start, stop))) <= 2 * len(shape) - 1


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data(),
    st.sampled_from(["u1", "f2", "f4", "f8", "c16", "V3"]),
)  # fmt: skip
def test_any_range_of_any_view_is_read_and_written(shape: list[int], data: st.DataObject, dtype: str) -> None:
    base = np.frombuffer(np.random.default_rng(0).bytes(prod(shape) * np.dtype(dtype).itemsize), dtype).reshape(shape)
    view = base.transpose(data.draw(st.permutations(range(base.ndim))))
    view = view[tuple(slice(None, None, data.draw(st.sampled_from([1, 2, -1]))) for _ in shape)]
    flat, size = np.ascontiguousarray(view).tobytes(), view.dtype.itemsize
    start = data.draw(st.integers(0, view.size))
    stop = data.draw(st.integers(start, view.size))
    assert bytes(reader(view)(start * size, stop * size)) == flat[start * size : stop * size]
    target = np.zeros(view.shape, view.dtype, order="F")[::-1]
    destination(target).write(start * size, memoryview(flat)[start * size : stop * size])
    written = np.ascontiguousarray(target).tobytes()
    assert written == bytes(start * size) + flat[start * size : stop * size] + bytes(len(flat) - stop * size)


def test_shared_memory_gets_finished_bytes_only() -> None:
    array = np.zeros(4)
    assert destination(array, exclusive=False).window(0, 8) is None
    destination(array, exclusive=False).write(8, memoryview(np.ones(2)))
    assert array.tolist() == [0, 1, 1, 0]
