"""Where stores of the engine's tests are made."""

from __future__ import annotations

from tests.support.paths import fast_path
from tests.support.stores import fast_store

__all__ = ["fast_path", "fast_store"]
