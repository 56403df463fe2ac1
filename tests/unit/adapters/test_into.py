"""Loading into a state that is alive."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from ckstore.adapters import tree
from ckstore.errors import NotFoundError, UsageError
from unit.adapters.memory_engine import Saved, fill
from unit.adapters.sameness import assert_same


class Point(NamedTuple):
    x: Any
    y: Any


def state(seed: int) -> dict[str, Any]:
    draw = torch.Generator().manual_seed(seed)
    weight = torch.nn.Parameter(torch.randn(4, 6, generator=draw))
    return {
        "w": weight,
        "tied": weight,
        "half": torch.randn(3, 5, generator=draw).bfloat16(),
        "last": torch.randn(2, 3, 4, 5, generator=draw).to(memory_format=torch.channels_last),
        "columns": torch.randn(4, 6, generator=draw)[:, 1:3],
        "array": np.arange(6.0).reshape(2, 3) + seed,
        "order": np.asfortranarray(np.arange(6.0).reshape(2, 3) * seed),
        "step": seed,
        "betas": (0.9, seed),
        "point": Point({"lr": seed * 0.1}, torch.full((2,), float(seed))),
        "tuple": (torch.zeros(()) + seed, seed, [seed]),
        "nothing": None,
        "od": OrderedDict(a=seed),
    }


def objects(tree: Any) -> list[int]:
    """Who the containers and tensors of a state are."""
    if isinstance(tree, dict):
        return [id(tree)] + [i for value in tree.values() for i in objects(value)]
    if isinstance(tree, (list, tuple)):
        return ([id(tree)] if isinstance(tree, list) else []) + [i for value in tree for i in objects(value)]
    return [id(tree)] if isinstance(tree, (torch.Tensor, np.ndarray)) else []


def without_lists(tree: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tree.items() if name != "tuple"}


def test_tensors_are_overwritten_and_plain_values_replaced() -> None:
    saved, target = Saved(state(1)), state(2)
    before, tensor = objects(without_lists(target))[1:], target["tuple"][0]
    back = saved.load(into=target)
    assert back is target
    assert objects(without_lists(target))[1:] == before
    assert target["tuple"][0] is tensor
    assert target["tuple"][1:] == (1, [1])
    assert type(target["point"]) is Point
    expected = state(1)
    expected["columns"] = expected["columns"].clone()
    assert_same(expected, {**target, "columns": target["columns"].clone()})


def test_layouts_of_the_live_state_are_kept() -> None:
    saved = Saved({"a": torch.arange(24.0).reshape(4, 6), "b": np.arange(6.0).reshape(2, 3)})
    target = {"a": torch.zeros(12, 8)[::3, 1:7], "b": np.zeros((2, 6), order="F")[:, ::-2]}
    strides = target["a"].stride(), target["b"].strides
    saved.load(into=target)
    assert (target["a"].stride(), target["b"].strides) == strides
    assert target["a"].tolist() == torch.arange(24.0).reshape(4, 6).tolist()
    assert target["b"].tolist() == np.arange(6.0).reshape(2, 3).tolist()


def test_a_model_and_an_optimizer_are_filled_in_place() -> None:
    def make(seed: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
        optimizer = torch.optim.AdamW(model.parameters())
        model(torch.randn(5, 3)).sum().backward()
        optimizer.step()
        return model, optimizer

    (one, its), (other, others) = make(1), make(2)
    saved = Saved({"model": one.state_dict(), "optimizer": its.state_dict()})
    saved.load(into={"model": other.state_dict(), "optimizer": others.state_dict()})
    assert_same(one.state_dict(), other.state_dict())
    assert_same(its.state_dict(), others.state_dict())


def test_autograd_notices_that_a_tensor_was_overwritten() -> None:
    saved, weight = Saved({"w": torch.ones(3)}), torch.zeros(3, requires_grad=True)
    loss = (weight * weight).sum()
    saved.load(into={"w": weight})
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    assert weight.requires_grad
    assert weight.is_leaf
    assert weight.grad_fn is None


def test_tensors_of_inference_mode_can_be_overwritten() -> None:
    with torch.inference_mode():
        target = {"a": torch.zeros(3), "b": torch.zeros(4, 2).t()}
    Saved({"a": torch.ones(3), "b": torch.ones(2, 4)}).load(into=target)
    assert target["a"].sum() + target["b"].sum() == 11


def test_the_other_framework_can_be_overwritten_bit_by_bit() -> None:
    saved = Saved({"a": torch.arange(3.0), "b": np.arange(4)})
    target = {"a": np.zeros(3, np.float32), "b": torch.zeros(4, dtype=torch.int64)}
    saved.load(into=target)
    assert_same({"a": np.arange(3, dtype=np.float32), "b": torch.arange(4)}, target)


def test_part_of_a_state_is_loaded_and_the_rest_left_alone() -> None:
    saved = Saved({"model": {"w": np.ones(3), "n": 1}, "list": [np.ones(2), 5], "step": 9})
    target = {"model": {"w": np.zeros(3), "n": 0}, "list": [np.zeros(2), 0], "step": 0, "more": object()}
    more = target["more"]
    back = saved.load(select=["model.w", "list.1"], into=target)
    expected = {"model": {"w": np.ones(3), "n": 0}, "list": [np.zeros(2), 5], "step": 0}
    assert_same(expected, {name: value for name, value in back.items() if name != "more"})
    assert back["more"] is more
    with pytest.raises(NotFoundError):
        saved.load(select=["nothing"], into=target)
    assert back["more"] is more


def test_a_leaf_on_its_own_is_loaded_into() -> None:
    target = np.zeros(3)
    assert Saved(np.ones(3)).load(into=target) is target
    assert target.tolist() == [1, 1, 1]
    assert Saved(5).load(into=3) == 5


def test_composites_are_made_anew_in_their_place() -> None:
    saved = Saved({"s": torch.eye(3).to_sparse(), "m": np.ma.MaskedArray([1, 2], [True, False])})
    target = {"s": torch.zeros(3, 3).to_sparse(), "m": np.ma.MaskedArray([0, 0])}
    saved.load(into=target)
    assert torch.equal(target["s"].to_dense(), torch.eye(3))
    assert target["m"].tolist() == [None, 2]


def test_a_pickled_object_replaces_what_stands_there() -> None:
    saved = Saved({"o": {1, 2}, "n": 1}, allow_pickle=True)
    target = {"o": {3}, "n": 0}
    with pytest.raises(UsageError, match="'o' was saved by pickle"):
        saved.load(into=target)
    assert target == {"o": {3}, "n": 0}
    saved.load(into=target, allow_pickle=True)
    assert target == {"o": {1, 2}, "n": 1}


def test_long_plain_values_are_replaced() -> None:
    target = {"log": [1.0], "text": "short"}
    Saved({"log": list(range(20_000)), "text": "x" * 50_000}).load(into=target)
    assert target == {"log": list(range(20_000)), "text": "x" * 50_000}


def test_dicts_of_any_kind_and_order_stand_for_each_other() -> None:
    target = OrderedDict([("b", 0), ("a", np.zeros(2))])
    Saved({"a": np.ones(2), "b": 1}).load(into=target)
    assert next(iter(target.items())) == ("b", 1)
    assert target["a"].tolist() == [1, 1]


def test_into_decides_framework_and_device_itself() -> None:
    for options in ({"framework": "numpy"}, {"device": "cpu"}):
        with pytest.raises(UsageError, match="into= decides"):
            Saved({"a": 1}).load(into={"a": 1}, **options)


def test_a_tied_target_gets_finished_bytes_only_and_twins_are_read_once() -> None:
    weight = torch.zeros(3)
    untied = Saved({"a": torch.ones(3), "b": torch.ones(3), "c": torch.ones(3)})
    targets = tree.destinations(untied.rows, into={"a": weight, "b": weight.detach(), "c": torch.zeros(3)})
    assert targets["a",].destination.window(0, 4) is None
    assert targets["b",].destination.window(0, 4) is None
    assert targets["c",].destination.window(0, 4) is not None
    tied = Saved({"a": (w := torch.ones(3)), "b": w})
    assert list(tree.destinations(tied.rows, into={"a": weight, "b": weight.detach()})) == [("a",)]
    apart = {"a": torch.zeros(3), "b": torch.zeros(3)}
    tied.load(into=apart)
    assert apart["b"].tolist() == [1, 1, 1]


def test_a_contiguous_target_is_decoded_into_directly() -> None:
    weight = torch.nn.Parameter(torch.zeros(4))
    saved = Saved({"w": torch.arange(4.0)})
    target = tree.destinations(saved.rows, into={"w": weight})["w",]
    assert target.destination.window(0, 16) is not None
    fill(target.destination, saved.data["w",], 4)
    assert target.finish() is weight
    assert weight.tolist() == [0, 1, 2, 3]


def test_a_failed_comparison_leaves_the_state_as_it_was() -> None:
    target = state(2)
    before = copy.deepcopy({name: value for name, value in target.items() if name != "columns"})
    wrong = state(1)
    wrong["array"] = np.zeros(1)
    with pytest.raises(UsageError):
        Saved(wrong).load(into=target)
    assert_same(before, {name: value for name, value in target.items() if name != "columns"})
