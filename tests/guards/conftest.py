"""The fixtures that scenarios of other suites find in the conftest of theirs."""

from __future__ import annotations

from tests.corrupt.conftest import small
from tests.support.paths import fast_path
from tests.support.stores import nobody_lives, open_store

__all__ = ["fast_path", "nobody_lives", "open_store", "small"]
