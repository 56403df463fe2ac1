"""Every kind of dense torch tensor."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ckstore.adapters import tree
from ckstore.errors import FormatError, UsageError
from ckstore.format.records import TensorRow
from ckstore.tensor import ITEM_BYTES, TensorView
from unit.adapters.memory_engine import Saved, round_trip
from unit.adapters.sameness import INTEGERS, assert_same

DTYPES = sorted(
    {kind for kind in vars(torch).values() if isinstance(kind, torch.dtype) and not str(kind).startswith("torch.q")},
    key=str,
)


def any_bits(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    """A tensor of arbitrary bits: NaN payloads, negative zeros and all."""
    count = int(np.prod(shape)) * dtype.itemsize
    raw = torch.from_numpy(np.random.default_rng(1).integers(0, 256, count, np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return raw.view(INTEGERS[dtype.itemsize]).reshape(shape).view(dtype)


def the_view(tensor: torch.Tensor) -> TensorView:
    row = tree.flatten(tensor)[0]
    assert isinstance(row, TensorView)
    return row


@pytest.mark.filterwarnings("ignore:ComplexHalf")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_keeps_its_bits(dtype: torch.dtype) -> None:
    tensor = any_bits(dtype, 4, 6)
    assert_same(tensor, round_trip(tensor))
    assert_same(tensor.t(), round_trip(tensor.t()))
    name = str(dtype).removeprefix("torch.")
    if name in ITEM_BYTES:
        assert (the_view(tensor).dtype, the_view(tensor).attrs) == (name, {})
    else:
        assert (the_view(tensor).dtype, the_view(tensor).attrs) == (f"bytes:{dtype.itemsize}", {"dtype": name})


def test_parameters_and_buffers_come_back_as_such() -> None:
    state = {
        "p": torch.nn.Parameter(torch.ones(2)),
        "frozen": torch.nn.Parameter(torch.ones(2), requires_grad=False),
        "ints": torch.nn.Parameter(torch.ones(2, dtype=torch.int8), requires_grad=False),
        "buffer": torch.nn.Buffer(torch.ones(2)),
        "passing": torch.nn.Buffer(torch.ones(2), persistent=False),
        "leaf": torch.ones(2, requires_grad=True),
        "result": torch.nn.Parameter(torch.ones(2)) * 2,
    }
    back = round_trip(state)
    assert type(back["p"]) is torch.nn.Parameter
    assert [back[name].requires_grad for name in state] == [True, False, False, False, False, True, False]
    assert isinstance(back["buffer"], torch.nn.Buffer)
    assert back["buffer"].persistent
    assert not back["passing"].persistent
    assert not isinstance(back["leaf"], torch.nn.Buffer)
    assert back["p"].is_leaf
    assert back["result"].is_leaf
    (back["p"] * back["leaf"]).sum().backward()


def test_a_model_and_its_optimizer_go_on_bit_by_bit() -> None:
    def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        model(torch.linspace(-1, 1, 12).reshape(2, 6)).square().sum().backward()
        optimizer.step()

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    step(model, optimizer)
    saved = Saved({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    step(model, optimizer)
    back = saved.load()
    again = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 3))
    again.load_state_dict(back["model"])
    other = torch.optim.AdamW(again.parameters(), lr=0.1)
    other.load_state_dict(back["optimizer"])
    step(again, other)
    assert_same(model.state_dict(), again.state_dict())


def fake() -> torch.Tensor:
    with FakeTensorMode():
        return torch.ones(3)


class Unknown(torch.Tensor):
    pass


REFUSED: list[tuple[Any, str]] = [
    (torch.ones(2, device="meta"), "meta tensor has no bytes"),
    (torch.nn.Parameter(torch.ones(2, device="meta")), "meta tensor has no bytes"),
    (torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "nested"),
    (torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged), "nested"),
    (torch.ones(2).to_mkldnn(), "mkldnn"),
    (fake(), "subclass"),
    (torch.ones(2).as_subclass(Unknown), "allow_subclass"),
    (torch.nn.UninitializedParameter(), "subclass"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("tensor", "reason"), REFUSED, ids=[reason + str(i) for i, (_, reason) in enumerate(REFUSED)])
def test_tensors_without_plain_bytes_are_refused_with_path_type_and_advice(tensor: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=r"'model.w'") as caught:
        tree.flatten({"model": {"w": tensor}})
    assert reason in caught.value.message
    assert type(tensor).__qualname__ in caught.value.message


def test_a_storage_is_no_tensor_and_is_refused() -> None:
    with pytest.raises(UsageError, match="UntypedStorage"):
        tree.flatten({"s": torch.ones(2).untyped_storage()})


def test_a_contiguous_tensor_is_viewed_and_kept_alive() -> None:
    tensor = torch.zeros(1000)
    view = the_view(tensor)
    tensor[3] = 7
    data = view.read(0, view.nbytes)
    del tensor
    assert np.frombuffer(data, np.float32)[3] == 7
    assert data.readonly


MALFORMED: list[tuple[str, str, list[int], dict[str, Any]]] = [
    ("torch.Tensor", "float32", [2, 3], {"strides": [1, 1]}),
    ("torch.Tensor", "float32", [2, 3], {"strides": [1 << 40, 1]}),
    ("torch.Tensor", "float32", [2, 3], {"strides": [-1, 2]}),
    ("torch.Tensor", "float32", [2, 3], {"strides": [3]}),
    ("torch.Tensor", "float32", [1], {"strides": [1 << 70]}),
    ("torch.Tensor", "float32", [2], {"dtype": "float64"}),
    ("torch.Tensor", "bytes:1", [2], {"dtype": 3}),
    ("torch.Tensor", "bytes:3", [2], {"dtype": "bits8"}),
    ("torch.Parameter", "int32", [2], {"requires_grad": True}),
    ("torch.Tensor", "int32", [2], {"requires_grad": True}),
    ("jax.Array", "int32", [2], {}),
    ("nothing", "int32", [2], {}),
]


@pytest.mark.parametrize(("kind", "dtype", "shape", "attrs"), MALFORMED, ids=str)
def test_malformed_rows_are_format_errors(kind: str, dtype: str, shape: list[int], attrs: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        tree.destinations([TensorRow(("a",), kind, dtype, shape, attrs, None, [])])[("a",)].finish()


def test_a_dtype_that_this_torch_lacks_is_named() -> None:
    row = TensorRow(("a",), "torch.Tensor", "bytes:1", [2], {"dtype": "float2_e1"}, None, [])
    with pytest.raises(UsageError, match="has no dtype float2_e1"):
        tree.destinations([row])
