"""Where stores of the engine's tests are made."""

from __future__ import annotations

from tests.support.paths import fast_path

__all__ = ["fast_path"]
