"""The corpus takes every branch of every C decoder, error paths above all, in each variant; or it says why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ckstore._native import kernels
from tests.fuzz import branches

WHOLE_CODE = "the code is complete and the range holds both kinds of leaf: there always is one that goes right"
NO_LOW_BITS = "elements of one byte have no low bits: their symbols say all, whatever they are, and no stream of bits"

ARGUED = {
    (r"ck_huffman_split", "while (first < end &&"): WHOLE_CODE,
    (r"ck_lengths_\w+_8", "return most > CK_K_MAX"): NO_LOW_BITS,
    (r"ck_delta_merge_\w+_8", "if (need == CK_FAILED ||"): NO_LOW_BITS,
    (r"ck_delta_merge_\w+_8", "return pos & 7 &&"): NO_LOW_BITS,
}
"""(functions, how the line begins): why no input can take the other way there."""


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return branches.replayed(tmp_path_factory.mktemp("gcov"))


def _argued(branch: branches.Branch) -> list[tuple[str, str]]:
    return [key for key in ARGUED if re.fullmatch(key[0], branch.function) and branch.text.startswith(key[1])]


def test_the_corpus_takes_every_branch_of_every_decoder(build):
    missing = branches.not_taken(build, kernels.variants())
    assert [branch for branch in missing if not _argued(branch)] == []
    assert {key for branch in missing for key in _argued(branch)} == set(ARGUED), "argued, but taken"


def test_every_decoder_is_looked_at(build):
    """A decoder that was given another name would else be left out in silence."""
    named = set(re.findall(r"[a-z_]+", branches.DECODERS.pattern.split("stem>")[1].split(")")[0]))
    optional = {"shuffled"}  # of AVX2 alone
    assert named - optional <= branches.functions(build) <= named
