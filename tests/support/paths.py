"""A place for many small stores that live for a moment."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""A directory that is not on a disk, if this machine has one."""


@pytest.fixture
def fast_path(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: thousands of images are written, opened and removed."""
    if IN_MEMORY is None:
        yield tmp_path
        return
    path = Path(tempfile.mkdtemp(prefix="ckstore-test-", dir=IN_MEMORY))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
