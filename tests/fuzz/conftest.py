"""One small store, whose objects are what the fuzzers begin with."""

from __future__ import annotations

import pytest

from tests.corrupt.damage import Small, build


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    path = tmp_path_factory.mktemp("small") / "store"
    build(path)
    return Small(path)
