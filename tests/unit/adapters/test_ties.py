"""Tensors that are one, and tensors that share memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ckstore.adapters import tree
from ckstore.adapters.memory import Memory, overlapping
from ckstore.errors import FormatError, UsageError
from ckstore.format.records import TensorRow
from unit.adapters.memory_engine import Saved, round_trip
from unit.adapters.sameness import assert_same


def shared(saved: Saved) -> list[str]:
    """Paths of the rows that are members of a group."""
    return [".".join(map(str, row.path)) for row in saved.rows if isinstance(row, TensorRow) and "shared" in row.attrs]


class Tied(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(5, 3)
        self.head = torch.nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight


def test_a_tensor_with_two_names_comes_back_as_one_object() -> None:
    weight, array = torch.nn.Parameter(torch.ones(3)), np.ones(3)
    back = round_trip({"a": weight, "b": [weight], "c": array, "d": (array, 1)})
    assert back["a"] is back["b"][0]
    assert type(back["a"]) is torch.nn.Parameter
    assert back["c"] is back["d"][0]


def test_tied_weights_of_a_state_dict_are_tied_again() -> None:
    state = Tied().state_dict()
    assert state["embed.weight"] is not state["head.weight"]
    back = round_trip(state)
    assert back["embed.weight"] is back["head.weight"]
    assert_same(state, back)


def test_bytes_of_one_tensor_are_asked_for_once() -> None:
    saved = Saved({"a": (w := torch.ones(3)), "b": w})
    assert list(tree.destinations(saved.rows)) == [("a",)]


def test_a_tied_tensor_selected_alone_is_loaded() -> None:
    saved = Saved({"a": (w := torch.arange(3.0)), "b": w, "c": [w]})
    assert_same({"b": torch.arange(3.0)}, saved.load(select=["b"]))
    back = saved.load(select=["b", "c.*"])
    assert back["b"] is back["c"][0]


def test_an_empty_tensor_is_the_same_as_itself_only() -> None:
    one, other = torch.empty(0), torch.empty(0)
    back = round_trip({"a": one, "b": one, "c": other, "d": np.empty(0), "e": np.empty(0)})
    assert back["a"] is back["b"]
    assert back["a"] is not back["c"]
    assert back["d"] is not back["e"]


def test_overlapping_views_share_memory_again() -> None:
    flat = torch.arange(20.0)
    state = {
        "flat": flat,
        "w": flat[:12].view(3, 4),
        "b": flat[12:15],
        "t": flat[:12].view(3, 4).t(),
        "steps": flat[1::3],
    }
    back = round_trip(state)
    assert_same(state, back)
    assert [tensor.stride() for tensor in back.values()] == [tensor.stride() for tensor in state.values()]
    back["flat"].zero_()
    assert all(not tensor.any() for tensor in back.values())


def test_overlapping_views_of_arrays_share_memory_again() -> None:
    flat = np.arange(20.0)
    state = {"flat": flat, "back": flat[::-1], "rows": flat[4:16].reshape(3, 4)[:, 1:], "again": flat[::-1]}
    back = round_trip(state)
    assert_same(state, back)
    assert back["back"] is back["again"]
    back["flat"][:] = 0
    assert all(not array.any() for array in back.values())


def test_one_memory_seen_as_two_dtypes_is_one_memory_again() -> None:
    x = torch.arange(6, dtype=torch.int32)
    back = round_trip({"i": x, "f": x.view(torch.float32), "h": x.view(torch.int16)[2:5]})
    back["i"].fill_(0x3F800000)
    assert back["f"].tolist() == [1.0] * 6
    assert back["h"].tolist() == [0, 0x3F80, 0]


def test_a_parameter_and_its_data_share_memory_but_are_two_objects() -> None:
    weight = torch.nn.Parameter(torch.arange(4.0))
    back = round_trip({"p": weight, "data": weight.detach(), "again": weight})
    assert type(back["p"]) is torch.nn.Parameter
    assert back["p"] is back["again"]
    assert type(back["data"]) is torch.Tensor
    assert not back["data"].requires_grad
    back["data"].zero_()
    assert back["p"].tolist() == [0.0] * 4


def test_views_that_do_not_overlap_come_back_independent() -> None:
    flat, array = torch.arange(20.0), np.arange(20.0)
    state = {
        "a": flat[:10], "b": flat[10:], "even": array[::2], "odd": array[1::2],
        "left": torch.arange(24.0).reshape(4, 6)[:, :3],
    }  # fmt: skip
    state["right"] = state["left"].as_strided((4, 3), (6, 1), 3)
    assert shared(Saved(state)) == []
    back = round_trip(state)
    assert_same(state, back)
    assert all(tensor.is_contiguous() for name, tensor in back.items() if isinstance(tensor, torch.Tensor))


def test_a_group_that_is_not_loaded_whole_comes_back_independent() -> None:
    flat = torch.arange(20.0)
    saved = Saved({"flat": flat, "head": flat[:5], "tail": flat[15:]})
    back = saved.load(select=["head", "tail"])
    assert_same({"head": flat[:5].clone(), "tail": flat[15:].clone()}, back)
    assert back["head"].untyped_storage().nbytes() == 20


def test_thin_views_of_a_huge_tensor_do_not_bring_it_back() -> None:
    huge = np.zeros((1000, 10_000), np.uint8)
    state = {"a": huge[:, 5:7], "b": huge[:, 6:8]}
    assert shared(Saved(state)) == []
    assert_same(state, round_trip(state))


def test_expanded_tensors_share_with_their_base_again() -> None:
    base = torch.arange(3.0)
    back = round_trip({"base": base, "wide": base.expand(4, 3)})
    back["base"].zero_()
    assert not back["wide"].any()


def test_ties_survive_a_change_of_framework() -> None:
    flat = torch.arange(6.0)
    saved = Saved({"flat": flat, "view": flat.view(2, 3), "again": flat})
    back = saved.load(framework="numpy")
    assert back["flat"] is back["again"]
    back["flat"][:] = 7
    assert (back["view"] == 7).all()
    array = np.arange(6.0)
    backwards = Saved({"a": array, "b": array[::-1]})
    with pytest.raises(UsageError, match="runs backwards"):
        backwards.load(framework="torch")


def test_lazy_conjugates_are_tied_only_to_themselves() -> None:
    z = torch.randn(4, dtype=torch.complex64)
    conj = z.conj()
    back = round_trip({"z": z, "conj": conj, "again": conj})
    assert_same({"z": z, "conj": conj.resolve_conj(), "again": conj.resolve_conj()}, back)
    assert back["conj"] is back["again"]


def test_many_views_of_one_buffer_are_one_group() -> None:
    flat = torch.arange(6000.0)
    saved = Saved([flat, *flat.split(3)])
    assert len(shared(saved)) == 2001
    back = saved.load()
    back[0].zero_()
    assert not back[1234].any()


def test_overlap_is_exact_and_knows_no_device() -> None:
    def at(space: str, address: int, *strides: int) -> Memory:
        return Memory(space, address, tuple(4 for _ in strides), strides, 4, "")

    assert overlapping([at("x", 4096, 8), at("x", 4100, 8)]) == []
    assert overlapping([at("x", 4096, 8), at("x", 4104, 8), None, at("x", 4108, -4)]) == [[0, 1, 3]]
    assert overlapping([at("x", 4096, 4), at("y", 4096, 4)]) == []
    assert overlapping([at("x", 4096, 4), at("x", 4112, 4)]) == []


BAD: list[dict[str, Any]] = [
    {"offset": 8},
    {"offset": -4},
    {"strides": [8]},
    {"strides": [3]},
    {"strides": [4, 4]},
    {"strides": "x"},
    {"offset": 2},
    {"span_bytes": 1 << 50, "offset": 0},
    {"span_bytes": -1},
    {"members": "2"},
    {"group": None},
]


@pytest.mark.parametrize("change", BAD, ids=str)
def test_a_malformed_group_is_a_format_error(change: dict[str, Any]) -> None:
    x = torch.arange(4.0)
    saved = Saved({"a": x, "b": x[1:]})
    for row in saved.rows:
        if isinstance(row, TensorRow) and (row.path == ("b",) or "span_bytes" in change):
            row.attrs["shared"] |= change
    with pytest.raises(FormatError):
        saved.load()
