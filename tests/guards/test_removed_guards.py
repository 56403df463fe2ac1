"""No guard is there for nothing: each is removed in turn, and a scenario that holds with it fails without it."""

from __future__ import annotations

import ast

import pytest

from ckstore.errors import CkError
from tests.guards.cuts import Site, place, removed, sites
from tests.guards.guard import given, name_of
from tests.guards.guards import ARGUED, GUARDS

SYNCS = {"fsync", "sync_dir", "sync_file", "sync"}
HASHES = {"blake3", "frame_check", "xxh3_64_intdigest", "_check", "_quick"}
SCENARIOS = {name_of(guard.scenario): guard.scenario for guard in GUARDS.values()}


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    monkeypatch.setenv("CKSTORE_THREADS", "1")


@pytest.mark.parametrize("name", SCENARIOS)
def test_with_all_guards_the_scenario_holds(name, request):
    SCENARIOS[name](**given(SCENARIOS[name], request))


@pytest.mark.parametrize("name", GUARDS)
def test_without_the_guard_the_scenario_fails(name, request):
    cut, scenario = GUARDS[name]
    fixtures = given(scenario, request)
    with removed(cut), pytest.raises((AssertionError, CkError, pytest.fail.Exception)) as caught:
        scenario(**fixtures)
    print(f"{name}: {type(caught.value).__name__}: {str(caught.value).splitlines()[:1]}")


def is_sync(node: ast.AST) -> bool:
    """A call that makes something durable."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SYNCS


def is_refusal(node: ast.AST) -> bool:
    """A statement that tells of bytes that are not what they were."""
    if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
        return False
    return isinstance(node.exc.func, ast.Name) and node.exc.func.id == "IntegrityError"


def is_comparison(node: ast.AST) -> bool:
    """A test of hashes, or of what was decoded."""
    calls = [sub.func for sub in ast.walk(node) if isinstance(sub, ast.Call)]
    names = {func.id if isinstance(func, ast.Name) else getattr(func, "attr", "") for func in calls}
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) == "kernels.equal"
    return isinstance(node, ast.Compare) and not names.isdisjoint(HASHES)


def uncovered(found: list[Site]) -> list[str]:
    """Sites that no guard of the table and no argument is about."""
    texts = [old for guard in GUARDS.values() for old, _ in ((guard.cut.old, ""), *guard.cut.also)]
    places = [place(text) for text in (*texts, *ARGUED)]
    return [f"{site.file}:{site.line}: {site.text}" for site in found if not any(map(site.is_in, places))]


def test_every_sync_has_a_guard_in_the_table():
    found = list(sites(is_sync))
    assert len(found) > 10
    assert uncovered(found) == []


def test_every_refusal_of_damaged_bytes_has_a_guard_in_the_table():
    found = list(sites(is_refusal))
    assert len(found) > 10
    assert uncovered(found) == []


def test_every_comparison_of_hashes_has_a_guard_in_the_table():
    found = list(sites(is_comparison))
    assert len(found) > 10
    assert uncovered(found) == []


def test_a_site_that_nothing_is_about_is_found():
    site = Site("store/outfile.py", 1, 1, "something new")
    assert uncovered([site]) == ["store/outfile.py:1: something new"]
