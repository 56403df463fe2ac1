"""Kernel tests switch variants as they go; the next test finds the one it would have had without them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ckstore._native import kernels


@pytest.fixture(autouse=True)
def _variant_as_before() -> Iterator[None]:
    before = kernels.active()
    yield
    kernels.select(before)
