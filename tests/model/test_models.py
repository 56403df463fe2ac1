"""The protocol of commit and gc as a state-space search: exhaustive, and blind to no guard that is taken away.

`pytest -s tests/model` prints how many states each model has, and for each mutant the shortest way into trouble.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.model.catalogue import COVERED, MODELS, MUTANTS
from tests.model.search import Found, search

SMALL = [
    "commits", "saver_beside_gc", "two_gcs", "polite_gc", "adoption", "republishing", "reader_beside_repack",
    "pinned_reader", "ranks", "trimmed_roots", "durable_save", "durable_gc",
]  # fmt: skip
"""Models that together take every step."""
IN_MUTANTS = {"is told to begin again", "lists leases", "does not sync root/"}
"""Steps that only a removed guard makes possible."""


@cache
def whole(name: str) -> Found:
    """A model with all its guards, searched."""
    return search(MODELS[name](frozenset()))


@pytest.mark.parametrize("name", MODELS)
def test_no_order_of_steps_breaks_the_store(name):
    found = whole(name)
    print(f"\n{name}: {found}")
    assert not found.problem, str(found)
    assert found.n_states > 100


@pytest.mark.parametrize(("build", "removed"), MUTANTS, ids=[f"{b.__name__} {', '.join(r)}" for b, r in MUTANTS])
def test_without_a_guard_the_search_finds_the_way_into_trouble(build, removed):
    found = search(build(frozenset(removed)))
    print(f"\n{build.__name__} without {' and '.join(removed)}: {found}")
    assert found.problem
    assert found.trace


@pytest.mark.parametrize(("build", "removed", "why"), COVERED, ids=[removed for _, removed, _ in COVERED])
def test_a_guard_behind_another_is_not_missed_alone(build, removed, why):
    found = search(build(frozenset({removed})))
    assert not found.problem, f"not so: {why}\n{found}"


def steps_written() -> set[str]:
    """Every step that some actor may take, as its code names it."""
    found = set()
    for path in Path(__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
                step = node.value.elts[0]
                if isinstance(step, ast.Constant) and not path.name.startswith("test_"):
                    found.add(step.value)
    return found


def test_no_step_is_out_of_reach():
    """A model that never gets somewhere proves nothing of what happens there."""
    taken = set().union(*(whole(name).steps for name in SMALL))
    assert steps_written() - taken - IN_MUTANTS == set()
