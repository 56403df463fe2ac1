"""Which tensors of a state belong together: weights, moments, averages; and the hyper-parameters beside them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ckstore
from ckstore.adapters.tree import flatten
from ckstore.engine import companions
from ckstore.engine.hyper import Settings
from ckstore.engine.parent import Parent
from ckstore.format.manifest import ChunkColumns
from ckstore.format.records import TensorRow, ValueRow
from ckstore.tensor import TensorView, dotted


def found(state: Any) -> dict[str, tuple[str, str, str]]:
    """By the first moment (or, where there is none, by the average): weight, variance, average."""
    rows = flatten(state)
    views = [row for row in rows if isinstance(row, TensorView)]
    name = {None: "", **{number: dotted(view.path) for number, view in enumerate(views)}}
    return {
        name[one.momentum] or name[one.average]: (name[one.weight], name[one.variance], name[one.average])
        for one in companions.find(views, Settings(rows, Parent()))
    }


def trained(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> dict[str, Any]:
    model(x).sum().backward()
    optimizer.step()
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict()}


def convnet() -> nn.Sequential:
    """BatchNorm keeps buffers of the shape of its weight and bias."""
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 8), nn.Linear(8, 8))


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.Adam])
def test_moments_belong_to_the_parameters_that_torch_numbers(kind: Callable[..., Any]) -> None:
    model = convnet()
    state = trained(model, kind(model.parameters()), torch.randn(2, 3, 3, 3))
    names = [name for name, _ in model.named_parameters()]
    assert found(state) == {
        f"optimizer.state.{i}.exp_avg": (f"model.{name}", f"optimizer.state.{i}.exp_avg_sq", "")
        for i, name in enumerate(names)
    }


def test_a_model_that_freezes_layers_and_groups_that_differ_in_decay() -> None:
    model = convnet()
    model[3].requires_grad_(False)
    moving = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    decay, rest = [p for _, p in moving if p.dim() > 1], [p for _, p in moving if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": decay}, {"params": rest, "weight_decay": 0.0}])
    weights = {row[0] for row in found(trained(model, optimizer, torch.randn(2, 3, 3, 3))).values()}
    assert {"model.0.weight"} <= weights <= {"", *(f"model.{name}" for name, _ in model.named_parameters())}


def test_momentum_of_sgd_has_no_second_moment() -> None:
    model = nn.Linear(4, 3)
    state = trained(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), torch.randn(2, 4))
    assert found(state) == {
        "optimizer.state.0.momentum_buffer": ("model.weight", "", ""),
        "optimizer.state.1.momentum_buffer": ("model.bias", "", ""),
    }


def test_masters_are_preferred_to_their_copies() -> None:
    model = nn.Linear(4, 3)
    state = trained(model, torch.optim.AdamW(model.parameters()), torch.randn(2, 4))
    state = {"copy": {k: v.bfloat16() for k, v in state["model"].items()}, **state}
    assert found(state)["optimizer.state.0.exp_avg"][0] == "model.weight"


def test_several_optimizers_and_an_average() -> None:
    model = nn.ModuleDict({"a": nn.Linear(4, 3), "b": nn.Linear(3, 4)})
    one, two = torch.optim.Adam(model["a"].parameters()), torch.optim.Adam(model["b"].parameters())
    model["b"](model["a"](torch.randn(2, 4))).sum().backward()
    one.step()
    two.step()
    ema = torch.optim.swa_utils.AveragedModel(model).state_dict()
    state = {"model": model.state_dict(), "ema": ema, "one": one.state_dict(), "two": two.state_dict()}
    assert found(state)["one.state.0.exp_avg"] == ("model.a.weight", "one.state.0.exp_avg_sq", "ema.module.a.weight")
    assert found(state)["two.state.0.exp_avg"] == ("model.b.weight", "two.state.0.exp_avg_sq", "ema.module.b.weight")


def test_trees_of_moments_beside_a_tree_of_weights() -> None:
    tree = {"layer": {"w": np.ones((3, 4), "f4"), "b": np.ones(4, "f4")}}
    state = {"params": tree, "opt": {"mu": tree, "nu": tree}, "ema": {"layer": {"w": np.ones((3, 4), "f4")}}}
    assert found(state) == {
        "opt.mu.layer.w": ("params.layer.w", "opt.nu.layer.w", "ema.layer.w"),
        "opt.mu.layer.b": ("params.layer.b", "opt.nu.layer.b", ""),
    }


def test_an_average_alone_and_states_without_any_of_it() -> None:
    w = np.ones(4, "f4")
    assert found({"model": {"w": w}, "ema": {"w": w}}) == {"ema.w": ("model.w", "", "ema.w")}
    assert found({"model": {"w": w}, "ema": {"w": np.ones(5, "f4")}}) == {}
    assert found({"m": np.ones(3, "i8"), "v": np.ones(3, "i8"), "ema": w, "state": {"exp_avg_sq": w}}) == {}


def update_of(states: list[Any]) -> Any:
    """The hyper-parameters of the first family of the last state, with the one before as its parent."""
    before, now = (flatten(state) for state in states)
    views = [row for row in now if isinstance(row, TensorView)]
    return companions.find(views, Settings(now, as_parent(before)))[0].update


def as_parent(rows: list[Any]) -> Parent:
    def inline(view: TensorView) -> TensorRow:
        return TensorRow(view.path, view.kind, view.dtype, list(view.shape), {}, bytes(view.read(0, view.nbytes)), [])

    return Parent(table=[(inline(r) if isinstance(r, TensorView) else r, ChunkColumns()) for r in rows])


def test_hyper_parameters_of_the_parent_come_first() -> None:
    model = nn.Linear(4, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.5, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.25)
    states = [copy.deepcopy(trained(model, optimizer, torch.randn(2, 4)))]
    optimizer.param_groups[0]["lr"] = 0.25
    for _ in range(3):
        states[1:] = [trained(model, optimizer, torch.randn(2, 4))]
    update = update_of(states)
    assert (update.lr, update.beta1, update.beta2, update.eps) == ((0.5, 0.25), (0.8,), (0.9,), (1e-6,))
    assert (update.weight_decay, update.decoupled, update.steps, update.step) == ((0.25,), True, 3, 4)


def test_hyper_parameters_of_sgd() -> None:
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.75, nesterov=True, weight_decay=0.125)
    states = [copy.deepcopy(trained(model, optimizer, torch.randn(2, 4))) for _ in range(2)]
    update = update_of(states)
    assert (update.lr, update.beta1, update.beta2, update.nesterov) == ((0.5,), (0.75,), (), True)
    assert (update.weight_decay, update.steps, update.step) == ((0.125,), None, None)


@pytest.mark.parametrize("strange", [None, "x", [], {"lr": "high", "params": 3}, {"betas": 0.9, "params": ["a", [0]]}])
def test_strange_groups_are_no_error(strange: Any) -> None:
    w = np.ones(4, "f4")
    optimizer = {"state": {0: {"exp_avg": w, "exp_avg_sq": w, "step": "soon"}}, "param_groups": [strange]}
    assert found({"model": {"w": w}, "optimizer": optimizer})["optimizer.state.0.exp_avg"][0] == "model.w"


def test_a_tensor_that_is_both_a_moment_and_an_average_by_name_is_in_one_family(store_path: str) -> None:
    """It was encoded twice once, and its checkpoint had a manifest that no reader takes."""
    w, m, v = (np.random.default_rng(seed).normal(size=(128, 64)).astype("f4") for seed in range(3))
    state = {"net": {"module.ema": {"w": w}}, "opt": {"m": {"ema": {"w": m}}, "v": {"ema": {"w": np.square(v)}}}}
    rows = flatten(state)
    views = [row for row in rows if isinstance(row, TensorView)]
    members = [n for one in companions.find(views, Settings(rows, Parent())) for _, n in one.parts()]
    assert len(set(members)) == len(members)
    with ckstore.open(store_path, create=True, chunk_elements=1024) as store:
        for _ in range(2):
            store.save(state)
        assert store.load()["opt"]["m"]["ema"]["w"].tobytes() == m.tobytes()


def test_one_optimizer_for_each_parameter() -> None:
    model = nn.Sequential(*(nn.Linear(4, 4, bias=False) for _ in range(20)))
    optimizers = [torch.optim.AdamW([p]) for p in model.parameters()]
    model(torch.randn(2, 4)).sum().backward()
    for optimizer in optimizers:
        optimizer.step()
    state = {"model": model.state_dict(), **{f"opt{i}": one.state_dict() for i, one in enumerate(optimizers)}}
    assert found(state)["opt7.state.0.exp_avg"] == ("model.7.weight", "opt7.state.0.exp_avg_sq", "")


@pytest.mark.parametrize("steps", [(5, 4), (-6, -5), (-(10**6), 3), (0, 0), (1, 2**60), (-1.7e308, 1.7e308)])
def test_counts_of_steps_that_are_none_are_not_known(steps: tuple[float, float]) -> None:
    w = np.ones((8, 8), "f4")
    kind = np.float64 if isinstance(steps[0], float) else np.int64
    group = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e300, "weight_decay": float("nan"), "params": [0]}
    states = [
        {
            "model": {"w": w},
            "opt": {"state": {0: {"exp_avg": w, "exp_avg_sq": w, "step": kind(n)}}, "param_groups": [group]},
        }
        for n in steps
    ]
    update = update_of(states)
    assert (update.steps, update.eps, update.weight_decay) == (None, (), ())


def test_a_second_moment_whose_name_looks_like_a_first_one() -> None:
    w = np.ones((4, 4), "f4")
    assert found({"opt": {"m": {"m": {"w": w}, "v": {"w": w}}}}) == {"opt.m.m.w": ("", "opt.m.v.w", "")}


def test_values_that_are_no_messagepack_are_none() -> None:
    path = ("opt", "param_groups", 0)
    rows = [ValueRow((*path, "params"), b"\x92\x00\x00"), ValueRow((*path, "lr"), b"\xc1")]
    assert Settings(rows, Parent()).update(("opt", "state", 0)).lr == ()
