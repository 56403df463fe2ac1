"""Parts of a state."""

from __future__ import annotations

import numpy as np
import pytest

from ckstore.adapters import tree
from ckstore.errors import FormatError, NotFoundError
from unit.adapters.memory_engine import Saved
from unit.adapters.sameness import assert_same

A, B, C = np.arange(2.0), np.arange(3), np.zeros((2, 2))
STATE = {
    "model": {"layer.0": {"w": A, "b": B}, "head": C, "none": {}},
    "optimizer": [{"lr": 0.1, "m": A}, (B, {"deep": [C, 1]}), "text"],
    "step": 3,
    1: "int key",
}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*"], STATE),
        (["model.*"], {"model": STATE["model"]}),
        (["model.head"], {"model": {"head": C}}),
        (["model.layer.0.w", "step"], {"model": {"layer.0": {"w": A}}, "step": 3}),
        (["*.w"], {"model": {"layer.0": {"w": A}}}),
        (["model.none"], {"model": {"none": {}}}),
        (["optimizer.0.*"], {"optimizer": [{"lr": 0.1, "m": A}, None, None]}),
        (["optimizer.1.1.deep.1"], {"optimizer": [None, (None, {"deep": [None, 1]}), None]}),
        (["?"], {1: "int key"}),
        (["[ms]*"], {"model": STATE["model"], "step": 3}),
        ("step", {"step": 3}),
    ],
    ids=str,
)
def test_only_matching_leaves_and_what_holds_them_come_back(patterns: list[str], expected: object) -> None:
    saved = Saved(STATE)
    assert_same(expected, saved.load(select=patterns))


def test_only_the_bytes_of_selected_tensors_are_asked_for() -> None:
    rows = tree.select(Saved(STATE).rows, ["optimizer.*.m"])
    assert list(tree.destinations(rows)) == [("optimizer", 0, "m")]


def test_holes_and_missing_rows_are_told_apart() -> None:
    saved = Saved(STATE)
    rows = tree.select(saved.rows, ["optimizer.2"])
    assert tree.build(rows, {}, partial=True) == {"optimizer": [None, None, "text"]}
    with pytest.raises(FormatError, match="1 rows for 3 positions"):
        tree.build(rows, {})


def test_a_state_that_is_one_leaf_is_selected_or_not_found() -> None:
    saved = Saved(A)
    assert_same(A, saved.load(select=["*"]))
    with pytest.raises(NotFoundError):
        saved.load(select=["x"])


@pytest.mark.parametrize("patterns", [["MODEL.*"], ["model"], [], "stepp", ["no", "nothing"]], ids=str)
def test_patterns_that_match_nothing_are_an_error_that_names_near_paths(patterns: list[str]) -> None:
    with pytest.raises(NotFoundError, match=r"nearest are: .") as caught:
        Saved(STATE).load(select=patterns)
    assert repr(patterns) in str(caught.value)


def test_a_state_of_nothing_is_selected_whole() -> None:
    assert Saved({}).load(select="*") == {}
