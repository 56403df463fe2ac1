"""Dicts, lists, tuples and their relatives, and what is refused."""

from __future__ import annotations

import collections
import math
import random
import sys
import types
from collections import OrderedDict, defaultdict
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from unit.adapters.memory_engine import Saved, round_trip
from unit.adapters.sameness import assert_same

from ckstore.adapters import opaque, tree
from ckstore.errors import UsageError
from ckstore.format.records import NodeRow, ValueRow
from ckstore.tensor import TensorView


class Point(NamedTuple):
    x: Any
    y: Any = None


Pair = collections.namedtuple("Pair", "left right")


class NotPlain:
    def __init__(self, value: int) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NotPlain) and other.value == self.value


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
    defaultdict(list, {"a": [1], "b": [torch.ones(1)]}),
    defaultdict(None, {"a": 1}),
    defaultdict(OrderedDict, {}),
    Point(torch.ones(2), 1),
    [Point(1), Pair(Point(1, 2), {"a": ()})],
    {"rng": random.getstate(), "np": np.random.get_state(), "torch": torch.get_rng_state()},
    {"gen": np.random.default_rng(3).bit_generator.state, "mt": np.random.Generator(np.random.MT19937(1)).bit_generator.state},
]  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=lambda state: f"{type(state).__name__}-{str(state)[:24]}")
def test_a_tree_comes_back_as_it_was_saved(state: Any) -> None:
    assert_same(state, round_trip(state))


def test_optimizer_and_scheduler_states_come_back() -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), amsgrad=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, [lambda step: 1.0])
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    scheduler.step()
    state = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
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


class Sub(dict):  # type: ignore[type-arg]
    pass


class SubPoint(Point):
    pass


def _ordered_with_attribute() -> Any:
    state: Any = OrderedDict(a=1)
    state.note = "lost"
    return state


def _ordered_with_bad_metadata() -> Any:
    state: Any = OrderedDict(a=1)
    state._metadata = {"version": object()}
    return state


def _local_namedtuple() -> Any:
    return collections.namedtuple("Local", "a")(1)


REFUSED: list[tuple[Any, str, str]] = [
    ({"a": {"b": NotPlain(1)}}, "'a.b'", "NotPlain"),
    ([1, [2, {3}]], "'1.1'", "set"),
    (NotPlain(1), "the state itself", "NotPlain"),
    ({"m": torch.nn.Linear(1, 1)}, "'m'", "torch.nn.modules.linear.Linear"),
    ({"c": collections.Counter("a")}, "'c'", "collections.Counter"),
    ({"s": Sub(a=1)}, "'s'", "Sub"),
    ({"d": defaultdict(lambda: 1)}, "'d'", "default factory"),
    ({"o": _ordered_with_attribute()}, "'o'", "note"),
    ({"o": _ordered_with_bad_metadata()}, "'o'", "_metadata"),
    ({"n": _local_namedtuple()}, "'n'", "top level"),
    ({"n": SubPoint(1)}, "'n'", "SubPoint"),
    ({"t": sys.version_info}, "'t'", "version_info"),
    ({"f": len}, "'f'", "builtin"),
    ({"g": torch.Generator()}, "'g'", "Generator"),
    ({"k": {object(): 1}}, "'k'", "keys may be"),
    ({"k": {np.int64(1): 1}}, "'k'", "keys may be"),
    ({"k": {float("nan"): 1}}, "'k'", "NaN"),
    ({"k": {2**64: 1}}, "'k'", "64 bits"),
    ({"k": {"\ud800": 1}}, "'k'", "surrogates"),
    ({"k": {(1, (2, frozenset())): 1}}, "'k'", "keys may be"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "where", "what"), REFUSED, ids=lambda part: str(part)[:30])
def test_what_could_not_come_back_is_refused_with_path_and_type(state: Any, where: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        tree.flatten(state)
    assert where in caught.value.message
    assert what in caught.value.message


def test_a_state_that_contains_itself_is_refused() -> None:
    state: dict[str, Any] = {"a": {"wide": list(range(10))}}
    state["a"]["again"] = [torch.ones(1), state]
    with pytest.raises(UsageError, match=r"'a.again.1'.*contains itself"):
        tree.flatten(state)
    plain: list[Any] = [1]
    plain.append(plain)
    with pytest.raises(UsageError, match="contains itself"):
        tree.flatten({"x": plain})


def test_a_state_nested_too_deeply_is_refused_and_the_deepest_allowed_comes_back() -> None:
    def nest(levels: int) -> dict[str, Any]:
        state: dict[str, Any] = {"x": 1}
        for _ in range(levels):
            state = {"d": state}
        return state

    assert round_trip(nest(199)) == nest(199)
    with pytest.raises(UsageError, match="nested deeper than 200"):
        tree.flatten(nest(5000))


def test_containers_held_twice_come_back_as_two() -> None:
    shared = {"a": 1}
    back = round_trip({"x": shared, "y": shared})
    assert back == {"x": {"a": 1}, "y": {"a": 1}}


def test_objects_are_pickled_only_when_both_sides_say_so() -> None:
    state = {
        "a": {"object": NotPlain(7)},
        "plain": 1,
        "module": torch.nn.Linear(2, 2),
        "counter": collections.Counter("ab"),
    }
    saved = Saved(state, allow_pickle=True)
    back = saved.load(allow_pickle=True)
    assert back["a"]["object"] == NotPlain(7)
    assert torch.equal(back["module"].weight, state["module"].weight)
    assert type(back["counter"]) is collections.Counter
    with pytest.raises(UsageError, match=r"'a.object' was saved by pickle .*NotPlain.*allow_pickle=True"):
        saved.load()
    assert saved.load(select=["plain"]) == {"plain": 1}
    assert saved.tensor("a", "object").attrs["type"].endswith("NotPlain")


def test_what_pickle_cannot_save_is_refused_with_its_path() -> None:
    with pytest.raises(UsageError, match=r"'a.f'.*pickle cannot save it either"):
        tree.flatten({"a": {"f": lambda: 1}}, allow_pickle=True)


def test_a_namedtuple_is_found_only_in_modules_that_are_imported() -> None:
    module = types.ModuleType("shapes_of_yesterday")
    cls = collections.namedtuple("Shape", "a b")
    cls.__module__ = module.__name__
    module.Shape = cls  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    saved = Saved({"s": cls(1, torch.ones(1))})
    assert type(saved.load()["s"]) is cls
    module.Shape = collections.namedtuple("Shape", "a c")  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="other fields"):
        saved.load()
    del sys.modules[module.__name__]
    with pytest.raises(UsageError, match="import its module first"):
        saved.load()
