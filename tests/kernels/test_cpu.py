"""Which variant runs: the best by default, another on demand, an error rather than a silent substitute."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from ckstore._native import kernels
from kernels.data import elements

SCRIPT = "from ckstore._native import kernels; print(kernels.active())"


def _run(demand: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "CKSTORE_KERNEL": demand}
    return subprocess.run([sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=False)


def test_scalar_runs_everywhere() -> None:
    assert kernels.variants()[-1] == "scalar"


def test_the_first_variant_is_the_default() -> None:
    assert _run("").stdout.strip() == kernels.variants()[0]


@pytest.mark.parametrize("variant", kernels.variants())
def test_the_environment_picks_a_variant(variant: str) -> None:
    assert _run(variant).stdout.strip() == variant


def test_a_variant_that_cannot_run_is_refused_with_the_valid_names() -> None:
    result = _run("sse9")
    assert result.returncode != 0
    assert "'sse9'" in result.stderr
    assert ", ".join(kernels.variants()) in result.stderr
    with pytest.raises(ValueError, match="scalar"):
        kernels.select("avx")


def test_selecting_while_others_encode_changes_no_byte() -> None:
    data = elements(4, 5000)

    def split(_: int) -> bytes:
        kernels.select(kernels.variants()[_ % len(kernels.variants())])
        planes = bytearray(len(data))
        kernels.split(data, 4, True, planes)
        return bytes(planes)

    before = kernels.active()
    try:
        with ThreadPoolExecutor(2) as pool:
            assert len(set(pool.map(split, range(200)))) == 1
    finally:
        kernels.select(before)
