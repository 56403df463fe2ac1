"""Generated cases: all variants, built as they are for users, give what the scalar one gives."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

import pytest

from ckstore._native import kernels
from tests.fuzz import native
from tests.fuzz.cases import shares

CASES = int(os.environ.get("CKSTORE_FUZZ_CASES", "20000"))
"""Of all targets together."""
SEED = int(os.environ.get("CKSTORE_TEST_SEED", "1"))

optimised = partial(native.build_cases, sanitized=False)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return native.build_or_skip(tmp_path_factory.mktemp("cases"), optimised)


def test_the_cases_are_shared_by_all_targets() -> None:
    assert sum(shares(1_000_000).values()) == 1_000_000
    assert set(shares(1000)) == set(native.TARGETS)
    assert min(shares(1000).values()) == 1000 // len(native.TARGETS)


@pytest.mark.parametrize("target", native.TARGETS)
def test_every_variant_is_the_scalar_one(program: Path, target: str, tmp_path: Path) -> None:
    said = native.run_cases(program, target, shares(CASES)[target], SEED, tmp_path / "found")
    assert said.startswith(f"{shares(CASES)[target]} cases, ")
    assert said.split(": ")[1].split() == list(kernels.variants())


@pytest.mark.parametrize("target", ["huffman_decode", "gap_merge", "delta_merge", "recentred_merge", "sparse_merge"])
def test_cases_of_decoders_are_neither_all_refused_nor_all_decoded(program: Path, target: str, tmp_path: Path) -> None:
    said = native.run_cases(program, target, 3000, SEED, tmp_path / "found").split()
    assert 300 < int(said[2]) < 2700, said


def test_a_variant_that_differs_once_in_a_block_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bit of one element in 256, in a copy of the sources."""
    if len(kernels.variants()) == 1:
        pytest.skip("variants differ where there are two: this processor has the scalar one alone (no AVX2)")
    csrc = tmp_path / "csrc"
    shutil.copytree(native.CSRC, csrc)
    monkeypatch.setattr(native, "CSRC", csrc)
    source, right = csrc / "template" / "scaled.h", "row[j] = (U)(word << turned);"
    assert right in source.read_text()
    source.write_text(source.read_text().replace(right, f"{right} row[j] ^= (U)(CK_NAME[0] == 's' && j == 200);"))
    program = native.build_or_skip(tmp_path, optimised)
    with pytest.raises(AssertionError, match=r"variants differ, .*: the output"):
        native.run_cases(program, "scaled", 3000, SEED, tmp_path / "found")
    assert (tmp_path / "found" / "crash").exists()
