"""Where soaks write."""

from __future__ import annotations

from tests.support.paths import fast_path

__all__ = ["fast_path"]
