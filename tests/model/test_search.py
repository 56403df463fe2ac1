"""The search itself: all states, the shortest way to a violation, and no silence about a model that is too large."""

from __future__ import annotations

import pytest

from tests.model.search import Model, search


class Counter:
    """Adds one or two to a number below ten."""

    name = "counter"

    def first(self):
        return 0

    def moves(self, world, mind):
        for step in (1, 2):
            if world + step <= 10:
                yield f"adds {step}", world + step, mind


def counting(broken, broken_at_the_end=lambda _: "") -> Model:
    return Model(0, [Counter()], broken, broken_at_the_end)


def test_every_state_is_seen_once():
    assert search(counting(lambda _: "")) == (11, "", (), {"adds 1", "adds 2"})


def test_the_way_to_a_violation_is_the_shortest():
    found = search(counting(lambda world: "five" if world == 5 else ""))
    assert found.problem == "five"
    assert len(found.trace) == 3
    assert str(found).endswith("counter adds 2")


def test_the_end_is_where_nobody_can_move():
    assert search(counting(lambda _: "", str)).problem == "10"


def test_a_model_that_is_too_large_is_an_error():
    with pytest.raises(AssertionError, match="too large"):
        search(counting(lambda _: ""), limit=3)


def test_two_actors_take_turns_in_every_order():
    class Writer(Counter):
        def __init__(self, name):
            self.name = name

        def moves(self, world, mind):
            if not mind:
                yield "writes", (*world, self.name), 1

    found = search(Model((), [Writer("a"), Writer("b")], lambda world: "b first" if world == ("b", "a") else ""))
    assert found.trace == ("b writes", "a writes")
