"""What could not come back as it is, and what pickle does about it."""

from __future__ import annotations

import collections
import sys
import types
from collections import OrderedDict, defaultdict
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from ckstore.adapters import opaque, tree
from ckstore.adapters.resolve import resolve
from ckstore.errors import UsageError
from unit.adapters.memory_engine import Saved, round_trip


class Point(NamedTuple):
    x: Any
    y: Any = None


class NotPlain:
    def __init__(self, value: int) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NotPlain) and other.value == self.value

    __hash__ = None


class Sub(dict):
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
    return NamedTuple("Local", [("a", Any)])(1)


REFUSED: list[tuple[Any, str, str]] = [
    ({"a": {"b": NotPlain(1)}}, "'a.b'", "NotPlain"),
    ([1, [2, {3}]], "'1.1'", "set"),
    (NotPlain(1), "the state itself", "NotPlain"),
    ({"m": torch.nn.Linear(1, 1)}, "'m'", "torch.nn.modules.linear.Linear"),
    ({"c": collections.deque("a")}, "'c'", "collections.deque"),
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
    ({"a": {"w": torch.zeros([1] * 65)}}, "'a.w' (torch.Tensor)", "65 dimensions"),
    ({"e": torch.zeros([0] * 65)}, "'e'", "65 dimensions"),
    ({"p": torch.nn.Parameter(torch.zeros([1] * 65))}, "'p'", "65 dimensions"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "where", "what"), REFUSED, ids=[str(i) for i in range(len(REFUSED))])
def test_what_could_not_come_back_is_refused_with_path_and_type(state: Any, where: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        tree.flatten(state)
    assert where in caught.value.message
    assert what in caught.value.message


def test_a_tensor_of_all_dimensions_there_may_be_comes_back() -> None:
    state = {"w": torch.arange(2.0).reshape([1] * 63 + [2])}
    assert torch.equal(round_trip(state)["w"], state["w"])


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
        "deque": collections.deque("ab"),
    }
    saved = Saved(state, allow_pickle=True)
    back = saved.load(allow_pickle=True)
    assert back["a"]["object"] == NotPlain(7)
    assert torch.equal(back["module"].weight, state["module"].weight)
    assert back["deque"] == collections.deque("ab")
    with pytest.raises(UsageError, match=r"'a.object' was saved by pickle .*NotPlain.*allow_pickle=True"):
        saved.load()
    assert saved.load(select=["plain"]) == {"plain": 1}
    assert saved.tensor("a", "object").attrs["type"].endswith("NotPlain")


def test_building_runs_no_pickle_that_was_not_allowed() -> None:
    saved = Saved({"a": NotPlain(1)}, allow_pickle=True)
    leaf = opaque.Pickled(bytearray(saved.data["a",]))
    with pytest.raises(UsageError, match="'a' was saved by pickle"):
        tree.build(saved.rows, {("a",): leaf})
    assert tree.build(saved.rows, {("a",): leaf}, allow_pickle=True) == {"a": NotPlain(1)}
    with pytest.raises(UsageError, match="cannot unpickle 'a'"):
        tree.build(saved.rows, {("a",): opaque.Pickled(bytearray(b"junk"))}, allow_pickle=True)


def test_finding_a_class_runs_no_code_of_its_module() -> None:
    module = types.ModuleType("lazy_module")
    vars(module)["__getattr__"] = lambda name: pytest.fail("a module was asked for an attribute it has not")
    sys.modules[module.__name__] = module
    assert resolve("lazy_module:Anything") is None
    assert resolve("lazy_module:Anything.Inside") is None
    del sys.modules[module.__name__]
    assert resolve("nowhere:Class") is None
    assert resolve("collections:OrderedDict.fromkeys.nothing") is None
    assert resolve("collections:OrderedDict") is OrderedDict


def test_what_pickle_cannot_save_is_refused_with_its_path() -> None:
    with pytest.raises(UsageError, match=r"'a.f'.*pickle cannot save it either"):
        tree.flatten({"a": {"f": lambda: 1}}, allow_pickle=True)


def test_a_namedtuple_is_found_only_in_modules_that_are_imported() -> None:
    module = types.ModuleType("shapes_of_yesterday")
    cls: Any = NamedTuple("Shape", [("a", Any), ("b", Any)])
    cls.__module__ = module.__name__
    vars(module)["Shape"] = cls
    sys.modules[module.__name__] = module
    saved = Saved({"s": cls(1, torch.ones(1))})
    assert type(saved.load()["s"]) is cls
    vars(module)["Shape"] = NamedTuple("Shape", [("a", Any), ("c", Any)])
    with pytest.raises(UsageError, match="other fields"):
        saved.load()
    del sys.modules[module.__name__]
    with pytest.raises(UsageError, match="import its module first"):
        saved.load()


def test_attributes_of_a_counter_are_refused_not_lost() -> None:
    counter = collections.Counter(a=1)
    vars(counter)["_metadata"] = {"version": 1}
    with pytest.raises(UsageError, match="would be lost"):
        tree.flatten({"x": counter})
