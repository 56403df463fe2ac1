"""A place for many small stores that live for a moment."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = "/dev/shm"


@pytest.fixture
def fast_path(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: thousands of images are written, opened and removed."""
    if not os.access(_MEMORY, os.W_OK):
        yield tmp_path
        return
    path = Path(tempfile.mkdtemp(prefix="ckstore-test-", dir=_MEMORY))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
