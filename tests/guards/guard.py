"""A guard and its scenario; what a scenario is given are the fixtures that it names, of its own module or of all."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest

from tests.guards.cuts import Cut

Scenario = Callable[..., object]


class Guard(NamedTuple):
    """How a guard is taken away, and what goes wrong then."""

    cut: Cut
    scenario: Scenario


def given(scenario: Scenario, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The fixtures that a scenario wants, by name."""
    plain = scenario.func if isinstance(scenario, partial) else scenario
    known = scenario.keywords if isinstance(scenario, partial) else {}
    made: dict[str, Any] = {}
    wanted = [name for name in inspect.signature(plain).parameters if name not in known]
    return {name: _fixture(name, sys.modules[plain.__module__], request, made) for name in wanted}


def _fixture(name: str, module: Any, request: pytest.FixtureRequest, made: dict[str, Any]) -> Any:
    own = inspect.unwrap(vars(module)[name]) if hasattr(vars(module).get(name), "__wrapped__") else None
    if own is None:
        return request.getfixturevalue(name)
    if name not in made:
        value = own(**{need: _fixture(need, module, request, made) for need in inspect.signature(own).parameters})
        made[name] = _begun(value, request) if isinstance(value, Iterator) else value
    return made[name]


def _begun(steps: Iterator[Any], request: pytest.FixtureRequest) -> Any:
    request.addfinalizer(lambda: next(steps, None))
    return next(steps)


def name_of(scenario: Scenario) -> str:
    """As it is told apart from others."""
    if not isinstance(scenario, partial):
        return scenario.__name__
    return " ".join(
        [scenario.func.__name__, *(str(value) for value in scenario.keywords.values() if type(value) in (str, int))]
    )
