"""Dicts, lists, tuples and their relatives, and what is refused."""

from __future__ import annotations

import math
import random
from collections import Counter, OrderedDict, defaultdict
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from ckstore.adapters import opaque, tree
from ckstore.format.records import NodeRow, ValueRow
from ckstore.tensor import TensorView
from unit.adapters.memory_engine import round_trip
from unit.adapters.sameness import assert_same


class Point(NamedTuple):
    x: Any
    y: Any = None


class Pair(NamedTuple):
    left: Any
    right: Any


STATES: list[Any] = [
    {},
    [],
    (),
    None,
    3,
    "leaf",
    {"b": 1, "a": {"z": [], "y": ()}, "": {}},
    {1: "int", "1": "str", 2.5: "float", b"1": "bytes", None: "none", (1, ("a", None)): "tuple", -(2**63): 0},
    {True: np.ones(2), "x": {False: 1}},
    {1: np.ones(2), "x": {0: 1}},
    {1.0: np.ones(2), -0.0: 1, math.inf: 2},
    {2**64 - 1: {(True, 1.0): np.zeros(3)}},
    [np.ones(2), [1, 2], (3, np.zeros(1)), [], {"a": ()}],
    (torch.ones(2), (1, 2)),
    OrderedDict([("z", 1), ("a", torch.ones(1))]),
    torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).state_dict(),
    Counter("abca"),
    defaultdict(list, {"a": [1], "b": [torch.ones(1)]}),
    defaultdict(None, {"a": 1}),
    defaultdict(OrderedDict, {}),
    Point(torch.ones(2), 1),
    [Point(1), Pair(Point(1, 2), {"a": ()})],
    {"rng": random.getstate(), "np": np.random.get_state(), "torch": torch.get_rng_state()},
    {"pcg": np.random.PCG64(3).state, "mt": np.random.MT19937(1).state, "philox": np.random.Philox(2).state},
]  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=[f"{i}-{type(state).__name__}" for i, state in enumerate(STATES)])
def test_a_tree_comes_back_as_it_was_saved(state: Any) -> None:
    assert_same(state, round_trip(state))


def test_optimizer_and_scheduler_states_come_back() -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), amsgrad=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, [lambda step: 1.0])
    steps = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 5, 5])
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    scheduler.step()
    state = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(), "steps": steps.state_dict()}
    back = round_trip(state)
    assert_same(state, back)
    assert list(back["optimizer"]["state"]) == [0, 1]
    optimizer.load_state_dict(back["optimizer"])
    scheduler.load_state_dict(back["scheduler"])


def test_random_generators_go_on_where_they_were() -> None:
    python, legacy, modern, torch_cpu = (
        random.Random(1),
        np.random.RandomState(2),
        np.random.default_rng(3),
        torch.Generator(),
    )
    saved = {
        "python": python.getstate(), "legacy": legacy.get_state(), "modern": modern.bit_generator.state,
        "torch": torch_cpu.get_state(),
    }  # fmt: skip
    expected = python.random(), legacy.rand(), modern.random(), torch.rand(3, generator=torch_cpu)
    back = round_trip(saved)
    python.setstate(back["python"])
    legacy.set_state(back["legacy"])
    modern.bit_generator.state = back["modern"]
    torch_cpu.set_state(back["torch"])
    assert (python.random(), legacy.rand(), modern.random()) == expected[:3]
    assert torch.equal(torch.rand(3, generator=torch_cpu), expected[3])


def test_saving_and_loading_touch_no_random_state() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    round_trip({"a": torch.ones(3, 4).t(), "b": np.ones(3), "c": torch.eye(3).to_sparse()})
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())


def test_a_plain_sequence_is_one_row() -> None:
    rows = tree.flatten({"rng": random.getstate(), "betas": (0.9, 0.999), "mixed": [1, np.ones(1)]})
    assert [type(row) for row in rows] == [NodeRow, ValueRow, ValueRow, NodeRow, ValueRow, TensorView]
    assert [tuple(row.path) for row in rows] == [
        (), ("rng",), ("betas",), ("mixed",), ("mixed", 0), ("mixed", 1),
    ]  # fmt: skip


def test_long_plain_values_are_stored_as_tensors_of_bytes() -> None:
    state = {
        "text": "x" * 100_000,
        "data": b"y" * 100_000,
        "numbers": list(range(30_000)),
        "long \ud800": "\ud800" * 9000,
    }
    del state["long \ud800"]
    rows = tree.flatten(state)
    assert [row.kind for row in rows[1:] if isinstance(row, TensorView)] == [opaque.PLAIN, opaque.BYTES, opaque.PLAIN]
    assert_same(state, round_trip(state))


def test_a_view_of_nothing_changes_with_the_state_but_containers_do_not() -> None:
    state = {"list": [1, 2], "array": np.zeros(2)}
    rows = tree.flatten(state)
    state["array"][:] = 5
    view = next(row for row in rows if isinstance(row, TensorView))
    assert bytes(view.read(0, 16)) == np.full(2, 5.0).tobytes()
