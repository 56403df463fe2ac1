"""The table of incidents is whole, and every test it names is there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.regression.incidents import INCIDENTS

TESTS = Path(__file__).parents[1]


def test_every_incident_has_a_test_of_its_own() -> None:
    assert list(INCIDENTS) == [f"B{n}" for n in range(1, 25)]
    assert len({incident.test for incident in INCIDENTS.values()}) == 24


@pytest.mark.parametrize("number", INCIDENTS)
def test_the_test_of_an_incident_is_there(number: str) -> None:
    file, _, name = INCIDENTS[number].test.partition("::")
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name] == [name]


def test_every_test_of_this_folder_is_named() -> None:
    named = {incident.test for incident in INCIDENTS.values()}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if path != Path(__file__):
            tests = [node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if _is_test(node)]
            assert {f"regression/{path.name}::{name}" for name in tests} <= named


def _is_test(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_b")
