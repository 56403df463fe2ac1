"""What every test may use: a store's path, the kernel variants of this machine, and Hypothesis profiles.

CKSTORE_TEST_PROFILE picks dev (default), ci (the same examples on every run) or nightly (many).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ckstore._native import kernels

# Two threads a process: tests run beside each other, and torch would otherwise start one a core in each of them.
os.environ.setdefault("OMP_NUM_THREADS", "2")

_SLOW_DISK = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("dev", max_examples=40, deadline=None, suppress_health_check=_SLOW_DISK)
settings.register_profile("ci", max_examples=60, deadline=None, derandomize=True, suppress_health_check=_SLOW_DISK)
settings.register_profile("nightly", max_examples=2000, deadline=None, suppress_health_check=_SLOW_DISK)
settings.load_profile(os.environ.get("CKSTORE_TEST_PROFILE", "dev"))


@pytest.fixture
def store_path(tmp_path: Path) -> str:
    """Where a store can be made; nothing is there yet."""
    return str(tmp_path / "store")


@pytest.fixture(params=kernels.variants())
def kernel_variant(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each kernel variant that runs on this machine, in use for the length of the test."""
    before = kernels.active()
    kernels.select(request.param)
    yield request.param
    kernels.select(before)
