"""Marks the tests of the 24 incidents, wherever they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.regression.incidents import INCIDENTS
from tests.support.paths import fast_path
from tests.support.stores import nobody_lives, open_store

__all__ = ["fast_path", "nobody_lives", "open_store"]

TESTS = Path(__file__).parents[1]


@pytest.hookimpl(tryfirst=True)  # before those without the mark are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """So that `pytest -m incident` runs these and no others."""
    named = {incident.test for incident in INCIDENTS.values()}
    for item in items:
        if isinstance(item, pytest.Function) and f"{_path(item)}::{item.originalname}" in named:
            item.add_marker("incident")


def _path(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).as_posix() if item.path.is_relative_to(TESTS) else ""
