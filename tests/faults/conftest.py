"""Where stores are made that are then treated badly."""

from __future__ import annotations

from tests.support.paths import fast_path
from tests.support.stores import nobody_lives, open_store

__all__ = ["fast_path", "nobody_lives", "open_store"]
