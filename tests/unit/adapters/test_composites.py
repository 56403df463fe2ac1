"""Sparse, quantised and subclass tensors."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
import torch

import ckstore.adapters.torch.subclasses as subclasses
from ckstore.adapters import tree
from ckstore.errors import FormatError, NotFoundError, UsageError
from ckstore.format.records import NodeRow
from unit.adapters.memory_engine import Saved, round_trip
from unit.adapters.sameness import assert_same

pytestmark = [pytest.mark.filterwarnings("ignore:Sparse"), pytest.mark.filterwarnings("ignore:torch.quantize")]

DENSE = torch.tensor([[0.0, 1.5, 0, 0], [0, 0, 0, -0.0], [2, 0, 0, math.nan], [0, 0, 0, 0]])


def uncoalesced() -> torch.Tensor:
    indices = torch.tensor([[0, 0, 2], [1, 1, 0]])
    return torch.sparse_coo_tensor(indices, torch.tensor([1.0, 2, 3]), (3, 4), check_invariants=True)


def hybrid() -> torch.Tensor:
    return torch.sparse_coo_tensor(
        torch.tensor([[0, 2]]), torch.ones(2, 3), (4, 3), is_coalesced=True, check_invariants=True
    )


SPARSE = [
    ("coo", DENSE.to_sparse()),
    ("uncoalesced", uncoalesced()),
    ("hybrid", hybrid()),
    ("empty", torch.zeros(3, 3).to_sparse()),
    ("csr", DENSE.to_sparse_csr()),
    ("csc", DENSE.to_sparse_csc()),
    ("bsr", DENSE.to_sparse_bsr((2, 2))),
    ("bsc", DENSE.to_sparse_bsc((2, 2))),
    ("batched csr", torch.stack([DENSE, DENSE]).to_sparse_csr()),
    ("gradient", DENSE.to_sparse().requires_grad_()),
]


@pytest.mark.parametrize("tensor", [tensor for _, tensor in SPARSE], ids=[name for name, _ in SPARSE])
def test_sparse_tensors_come_back_in_their_layout(tensor: torch.Tensor) -> None:
    back = round_trip({"s": tensor})["s"]
    assert_same(tensor, back)
    assert torch.equal(torch.nan_to_num(tensor.detach().to_dense()), torch.nan_to_num(back.detach().to_dense()))


def test_a_sparse_parameter_comes_back_as_a_parameter() -> None:
    back = round_trip(torch.nn.Parameter(DENSE.to_sparse()))
    assert type(back) is torch.nn.Parameter
    assert back.requires_grad
    assert back.layout is torch.sparse_coo


def _with(saved: Saved, part: str, array: Any) -> Saved:
    saved.data["s", part] = array.tobytes()
    return saved


def test_indices_from_a_store_are_checked_before_torch_uses_them() -> None:
    coo = _with(Saved({"s": DENSE.to_sparse()}), "indices", np.array([[0, 0, 9], [1, 2, 3]]))
    csr = _with(Saved({"s": DENSE.to_sparse_csr()}), "col_indices", np.full(3, 1 << 40))
    order = _with(Saved({"s": DENSE.to_sparse()}), "indices", np.array([[2, 2, 0], [3, 0, 1]]))
    for saved in (coo, csr, order):
        with pytest.raises(FormatError, match=r"'s'.*do not fit together"):
            saved.load()


def test_a_composite_with_a_part_missing_or_a_wrong_shape_is_a_format_error() -> None:
    saved = Saved({"s": DENSE.to_sparse()})
    saved.rows.pop()
    with pytest.raises(FormatError, match="'s'"):
        saved.load()
    saved = Saved({"s": DENSE.to_sparse()})
    for shape in ([4], [-4, 4], "44", [4, 4, 4, 4]):
        saved.rows[1] = NodeRow(("s",), "torch.sparse_coo", {"shape": shape})
        with pytest.raises(FormatError):
            saved.load()
    saved.rows[1] = NodeRow(("s",), "torch.sparse_hash", {"shape": [4, 4]})
    with pytest.raises(FormatError, match="unknown composite"):
        saved.load()


QUANTISED = [
    ("quint8", lambda: torch.quantize_per_tensor(DENSE.nan_to_num(), 0.1, 3, torch.quint8)),
    ("qint8", lambda: torch.quantize_per_tensor(DENSE.nan_to_num(), 0.25, 0, torch.qint8)),
    ("qint32", lambda: torch.quantize_per_tensor(DENSE.nan_to_num(), 0.25, 0, torch.qint32)),
    (
        "per channel",
        lambda: torch.quantize_per_channel(
            DENSE.nan_to_num(), torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([0, 1, 2, 3]), 1, torch.qint8
        ),
    ),
    (
        "float parameters",
        lambda: torch.quantize_per_channel(
            DENSE.nan_to_num(), torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.zeros(4), 0, torch.quint8
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize("make", [make for _, make in QUANTISED], ids=[name for name, _ in QUANTISED])
def test_quantised_tensors_come_back_with_their_scheme(make: Any) -> None:
    tensor = make()
    back = round_trip(tensor)
    assert (back.dtype, back.qscheme(), back.shape) == (tensor.dtype, tensor.qscheme(), tensor.shape)
    assert torch.equal(back.int_repr(), tensor.int_repr())
    assert torch.equal(back.dequantize(), tensor.dequantize())


def test_a_quantised_tensor_whose_scales_do_not_fit_is_a_format_error() -> None:
    saved = Saved(QUANTISED[3][1]())
    saved.rows[0] = NodeRow(
        (), "torch.quantised_per_channel", {"shape": [4, 4], "scheme": "per_channel_affine", "axis": 7}
    )
    with pytest.raises(FormatError, match="do not fit"):
        saved.load()


class Pair(torch.Tensor):
    """Two tensors that act as one."""

    a: torch.Tensor
    b: torch.Tensor
    note: Any

    @staticmethod
    def __new__(cls, a: torch.Tensor, b: torch.Tensor, note: Any = None) -> Pair:
        self: Pair = torch.Tensor._make_wrapper_subclass(cls, a.shape, dtype=a.dtype)
        self.a, self.b, self.note = a, b, note
        return self

    def __tensor_flatten__(self) -> tuple[list[str], Any]:
        return ["a", "b"], {"note": self.note}

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, torch.Tensor], context: Any, size: Any, stride: Any) -> Pair:
        return Pair(inner["a"], inner["b"], context["note"])

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError("saving and loading run no operation of a subclass")


@pytest.fixture
def allowed() -> Any:
    subclasses.allow_subclass(Pair)
    yield
    subclasses._allowed.clear()


def test_a_subclass_is_refused_until_it_is_allowed() -> None:
    with pytest.raises(UsageError, match="allow_subclass"):
        tree.flatten({"x": Pair(torch.ones(2), torch.zeros(2))})


def test_an_allowed_subclass_comes_back_from_its_parts(allowed: Any) -> None:
    state = {"x": Pair(torch.ones(2), torch.arange(3.0), ("note", 1)), "y": torch.ones(1)}
    back = round_trip(state)["x"]
    assert type(back) is Pair
    assert_same([back.a, back.b, back.note], [torch.ones(2), torch.arange(3.0), ("note", 1)])


def test_a_subclass_must_be_allowed_where_it_is_loaded_too(allowed: Any) -> None:
    saved = Saved({"x": Pair(torch.ones(2), torch.zeros(2))})
    subclasses._allowed.clear()
    with pytest.raises(UsageError, match=r"'x'.*Pair.*allow_subclass"):
        saved.load()


def test_only_classes_with_the_flatten_protocol_can_be_allowed() -> None:
    for cls in (int, torch.Tensor, torch.nn.Parameter):
        with pytest.raises(UsageError):
            subclasses.allow_subclass(cls)
    assert sys.modules[Pair.__module__].Pair is Pair  # the fixture relies on it


def test_composites_come_out_as_dicts_of_their_parts_in_another_framework() -> None:
    saved = Saved({"s": DENSE.to_sparse_csr(), "m": np.ma.MaskedArray([1.0, 2.0], [True, False])})
    back = saved.load(framework="numpy")
    assert back["s"]["kind"] == "torch.sparse_csr"
    assert back["s"]["shape"] == [4, 4]
    assert type(back["s"]["values"]) is np.ndarray
    assert type(back["m"]) is np.ma.MaskedArray
    back = saved.load(framework="torch")
    assert back["s"].layout is torch.sparse_csr
    assert back["m"]["mask"].tolist() == [True, False]


def test_a_composite_is_selected_whole() -> None:
    saved = Saved({"a": {"s": DENSE.to_sparse(), "t": torch.ones(1)}, "b": 1})
    assert_same({"a": {"s": DENSE.to_sparse()}}, saved.load(select=["a.s"]))
    with pytest.raises(NotFoundError):
        saved.load(select=["*.values"])
