"""Random states: any nesting, any leaves, any memory layout, with tensors that appear twice."""

from __future__ import annotations

import copy
from collections import OrderedDict, defaultdict
from typing import Any

import ml_dtypes
import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from ckstore.adapters import tree
from ckstore.tensor import TensorView
from unit.adapters.memory_engine import Saved
from unit.adapters.sameness import INTEGERS, assert_same

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
    | st.sampled_from([torch.float16, torch.device("cpu"), torch.Size([2]), np.float32(2), np.dtype("i2")])
)  # fmt: skip
KEYS = st.text(max_size=4) | st.integers(-(2**63), 2**64 - 1) | st.booleans() | st.none() | st.tuples(st.integers(0, 3))
SHAPES = st.lists(st.integers(0, 4), max_size=4)
TORCH_DTYPES = [
    torch.float32,
    torch.bfloat16,
    torch.float8_e5m2,
    torch.int64,
    torch.uint16,
    torch.bool,
    torch.complex64,
]
NUMPY_DTYPES = ["f4", ">f8", "i2", "u8", "?", "c16", "M8[ms]", "S3", ml_dtypes.bfloat16, [("a", "u1"), ("b", ">f4")]]


def bits(shape: list[int], size: int, seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(int(np.prod(shape)) * size)


@st.composite
def layouts(draw: st.DrawFn, ndim: int) -> tuple[list[int], tuple[slice, ...]]:
    order = draw(st.permutations(range(ndim)))
    return list(order), tuple(slice(None, None, draw(st.sampled_from([1, 1, 2]))) for _ in range(ndim))


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    shape, dtype = draw(SHAPES), draw(st.sampled_from(TORCH_DTYPES))
    raw = np.frombuffer(bytearray(bits(shape, dtype.itemsize, draw(st.integers(0, 9)))), np.uint8)
    if dtype is torch.bool:
        raw = raw & 1
    tensor = (
        torch.from_numpy(raw).view(INTEGERS[dtype.itemsize]).view(dtype) if raw.size else torch.empty(0, dtype=dtype)
    )
    order, steps = draw(layouts(len(shape)))
    tensor = tensor.reshape(shape).permute(order)[steps]
    if dtype.is_floating_point and dtype.itemsize > 1 and draw(st.booleans()):
        return torch.nn.Parameter(tensor, requires_grad=draw(st.booleans()))
    return tensor


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    shape, dtype = draw(SHAPES), np.dtype(draw(st.sampled_from(NUMPY_DTYPES)))
    array = np.frombuffer(bytearray(bits(shape, dtype.itemsize, draw(st.integers(0, 9)))), dtype).reshape(shape)
    order, steps = draw(layouts(len(shape)))
    return array.transpose(order)[steps]


def containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    dicts = st.dictionaries(KEYS, children, max_size=4)
    return (
        dicts | dicts.map(OrderedDict) | dicts.map(lambda made: defaultdict(list, made))
        | st.lists(children, max_size=4) | st.lists(children, max_size=4).map(tuple)
        | children.map(lambda child: {"once": child, "again": [child]})
    )  # fmt: skip


LEAVES = SCALARS | tensors() | arrays()
STATES = st.recursive(LEAVES, containers, max_leaves=12)


@given(STATES)
def test_any_state_comes_back_to_the_last_bit(state: Any) -> None:
    assert_same(state, Saved(state).load())


@given(STATES)
def test_saving_what_was_loaded_gives_the_same_rows(state: Any) -> None:
    saved = Saved(state)
    again = Saved(saved.load())
    assert [row.path for row in again.rows] == [row.path for row in saved.rows]
    assert again.data == saved.data


@given(STATES)
def test_any_state_can_be_loaded_into_itself(state: Any) -> None:
    saved = Saved(state)
    target = copy.deepcopy(state)
    assert_same(state, saved.load(into=target))


@given(STATES)
def test_selecting_everything_is_loading_everything(state: Any) -> None:
    assert_same(state, Saved(state).load(select=["*"]))


@given(STATES, st.data())
def test_any_range_of_items_reads_the_same_bytes(state: Any, data: st.DataObject) -> None:
    views = [row for row in tree.flatten(state) if isinstance(row, TensorView) and row.nbytes]
    if not views:
        return
    view = data.draw(st.sampled_from(views))
    size = view.nbytes // max(1, int(np.prod(view.shape)))
    start = data.draw(st.integers(0, view.nbytes // size))
    stop = data.draw(st.integers(start, view.nbytes // size))
    assert bytes(view.read(start * size, stop * size)) == bytes(view.read(0, view.nbytes))[start * size : stop * size]
