"""Every parser of stored bytes under a coverage-guided fuzzer: an error of ckstore or an answer, in bounded memory."""

from __future__ import annotations

import os

import pytest

from ckstore.errors import FormatError
from tests.fuzz import corpus, guided
from tests.fuzz.targets import TARGETS
from tests.support.door import quickly

RUNS = int(os.environ.get("CKSTORE_FUZZ_RUNS", "10000"))
SEED = int(os.environ.get("CKSTORE_TEST_SEED", "1"))


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_finds_an_answer_for_any_bytes(small, name):
    target = TARGETS[name](small)
    assert target.seeds
    seeds = [*target.seeds, *corpus.read(name)]
    try:
        with quickly():
            found = guided.fuzz(target.run, seeds, RUNS, SEED, target.how)
    finally:
        small.fs.served.clear()
    print(f"{found.n_inputs} inputs, {found.n_refused} refused, {found.n_arcs} arcs, {len(found.new)} new inputs, "
          f"{found.peak_bytes >> 10} KiB at most")  # fmt: skip
    assert found.n_inputs >= RUNS
    corpus.keep(name, found.new)


def parse_badly(data: bytes) -> int:
    """A parser with a bug three steps away from its seed."""
    if data[:1] != b"A":
        raise FormatError("no A")
    if data[1:2] == b"B":
        if data[2:3] != b"C":
            return 0
        raise IndexError("the bug")
    return len(data)


def test_the_fuzzer_finds_a_bug_that_is_there(monkeypatch):
    monkeypatch.setattr(guided, "PACKAGE", __file__)
    with pytest.raises(IndexError, match="the bug") as caught:
        guided.fuzz(parse_badly, [b"A???"], 20_000, SEED, guided.How(max_len=8))
    assert "the input: b'ABC" in caught.value.__notes__[0]


def test_the_fuzzer_finds_a_parser_that_takes_much_memory():
    with pytest.raises(AssertionError, match="bytes of memory"):
        guided.fuzz(lambda data: bytearray(5 << 20 << len(data)), [b""], 100, SEED, guided.How(max_len=8))
