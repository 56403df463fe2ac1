"""Every C decoder under a coverage-guided fuzzer and sanitizers: all variants agree, nothing outside is touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.fuzz import native

RUNS = int(os.environ.get("CKSTORE_FUZZ_RUNS", "10000"))
SEED = int(os.environ.get("CKSTORE_TEST_SEED", "1"))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return native.build_or_skip(tmp_path_factory.mktemp("fuzzer"))


@pytest.mark.parametrize("target", native.TARGETS)
def test_a_decoder_finds_an_answer_for_any_bytes(program, target, tmp_path):
    print(native.fuzz(program, target, RUNS, SEED, tmp_path / "found"))


def test_the_fuzzer_finds_a_bug_that_is_there(tmp_path, monkeypatch):
    """A decoder that trusts one length, in a copy of the sources."""
    csrc = tmp_path / "csrc"
    shutil.copytree(native.CSRC, csrc)
    monkeypatch.setattr(native, "CSRC", csrc)
    trusting = csrc / "ck_huffman.c"
    honest = "for (; held < 6 && used < n_in; held += 8)"
    assert honest in trusting.read_text()
    trusting.write_text(trusting.read_text().replace(honest, "for (; held < 6; held += 8)"))
    program = native.build_or_skip(tmp_path)
    with pytest.raises(AssertionError, match="heap-buffer-overflow"):
        native.fuzz(program, "huffman_lengths", RUNS, SEED, tmp_path / "found")


def test_sources_that_do_not_compile_are_a_failure_and_no_reason_to_skip(tmp_path, monkeypatch, program):
    csrc = tmp_path / "csrc"
    shutil.copytree(native.CSRC, csrc)
    (csrc / "ck_huffman.c").write_text("this is no C")
    monkeypatch.setattr(native, "CSRC", csrc)
    with pytest.raises(AssertionError, match="ck_huffman"):
        native.build(tmp_path)
