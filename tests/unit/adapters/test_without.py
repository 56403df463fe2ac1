"""Leaves dropped from a state: what is left is what a selection of all the others gives."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ckstore.adapters import tree
from ckstore.engine.selection import without
from ckstore.errors import NotFoundError, UsageError
from ckstore.format.records import ManifestPage
from unit.adapters.memory_engine import Saved, decoded, fill
from unit.adapters.sameness import assert_same

A, B, C = np.arange(2.0), np.arange(3), np.zeros((2, 2))
STATE = {
    "model": {"layer.0": {"w": A, "b": B}, "head": C, "none": {}},
    "optimizer": [{"lr": 0.1, "m": A}, (B, {"deep": [C, 1]}), "text"],
    "step": 3,
}


def left_of(state: Any, patterns: list[str]) -> Any:
    """The state that is loaded, as a whole, from the rows that are left."""
    saved = Saved(state)
    rows = without(saved.rows, patterns)
    targets = tree.destinations(rows)
    for row in rows:
        if row.path in targets:
            fill(targets[row.path].destination, saved.data[row.path], 1)
    return tree.build(rows, {path: target.finish() for path, target in targets.items()})


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["optimizer.*"], {"model": STATE["model"], "step": 3}),
        (["model.*"], {"optimizer": STATE["optimizer"], "step": 3}),
        (["*.w"], {**STATE, "model": {"layer.0": {"b": B}, "head": C, "none": {}}}),
        (["model.none"], {**STATE, "model": {"layer.0": {"w": A, "b": B}, "head": C}}),
        (["model.layer.0.*", "optimizer.*"], {"model": {"head": C, "none": {}}, "step": 3}),
        (["optimizer.0.*"], {**STATE, "optimizer": [None, *STATE["optimizer"][1:]]}),
        (["optimizer.1.1.deep.0"], {**STATE, "optimizer": [{"lr": 0.1, "m": A}, (B, {"deep": [None, 1]}), "text"]}),
        (["optimizer.1.*"], {**STATE, "optimizer": [{"lr": 0.1, "m": A}, None, "text"]}),
        (["optimizer.[01]*", "model.*"], {"optimizer": [None, None, "text"], "step": 3}),
        (["[!s]*"], {"step": 3}),
    ],
    ids=str,
)
def test_dicts_lose_keys_and_sequences_have_holes(patterns, expected):
    assert_same(expected, left_of(STATE, patterns))


keys = st.sampled_from(["a", "b", "c", "dd"])
leaves = st.sampled_from(
    [1, "x", None, A, B, torch.arange(3), {}, [], (), torch.eye(3).to_sparse(), np.ma.array([1, 2])]
)
states = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.dictionaries(keys, inner, max_size=4), st.lists(inner, max_size=4), st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.filter_too_much])  # most sets of letters keep all or nothing
@given(states, st.sets(st.sampled_from("abcd0123")))
def test_what_is_left_is_what_a_selection_of_the_others_gives(state, letters):
    """A leaf is dropped if its path holds one of some letters; a selection says so by all other paths."""
    rows = Saved(state).rows
    everything = names(tree.select(rows, "*"))
    drop = [f"*{letter}*" for letter in letters]
    kept = [name for name in everything if not set(name) & letters]
    assume(kept and len(kept) < len(everything))
    try:
        found = left_of(state, drop)
    except NotFoundError:  # all that is to go are Nones of sequences
        assert_same(state, Saved(state).load(select=kept))
        return
    assert_same(Saved(state).load(select=kept), found)


def names(rows: list[Any]) -> list[str]:
    """Dotted paths of the leaves among rows."""
    filled = {row.path[:-1] for row in rows if row.path}
    found: list[str] = []
    whole: list[tuple[Any, ...]] = []
    for row in rows:
        if any(row.path[: len(path)] == path for path in whole):
            continue
        kind = getattr(row, "kind", "")
        if type(row).__name__ == "NodeRow" and "." in kind:
            whole.append(row.path)
        if type(row).__name__ != "NodeRow" or "." in kind or row.path not in filled:
            found.append(".".join(map(str, row.path)))
    return found


@pytest.mark.parametrize("patterns", [["MODEL.*"], ["model"], [], ["stepp"], ["optimzer.*"]], ids=str)
def test_patterns_that_match_nothing_are_an_error_that_names_near_paths(patterns):
    with pytest.raises(NotFoundError, match=r"drop=.*nearest are: .") as caught:
        without(Saved(STATE).rows, patterns)
    assert repr(patterns) in str(caught.value)


def test_a_hole_cannot_be_dropped_again():
    rows = without(Saved(STATE).rows, ["optimizer.0.*"])
    with pytest.raises(NotFoundError):
        without(rows, ["optimizer.0*"])


@pytest.mark.parametrize("state", [STATE, A, {"a": {}}, []], ids=str)
def test_dropping_everything_is_refused(state):
    with pytest.raises(UsageError, match="nothing would be left"):
        without(Saved(state).rows, "*")


def test_patterns_are_texts():
    with pytest.raises(UsageError, match="drop= takes patterns of text"):
        without(Saved(STATE).rows, ["a", 3])


def test_the_rows_left_are_rows_that_a_manifest_takes():
    rows = without(Saved(STATE).rows, ["optimizer.0.*"])
    assert decoded(msgspec.msgpack.encode(ManifestPage(rows, b"", b""))) == rows
