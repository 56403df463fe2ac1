from __future__ import annotations

import json

import pytest

from ckstore.cli import show as module
from ckstore.engine.reports import LeafInfo

LEAF_KEYS = {"path", "kind", "dtype", "shape", "nbytes", "stored_bytes", "n_chunks", "max_chain", "codecs"}


def test_show_prints_the_checkpoint_and_one_line_for_each_leaf(cli, path: str) -> None:
    head, _, table = cli("show", path, "good").stdout.partition("\n\n")
    facts = dict(line.split(maxsplit=1) for line in head.splitlines())
    assert (facts["ref"], facts["metrics"], facts["tags"]) == ("main@20", "loss=0.5", "good")
    rows = {line.split()[0]: line for line in table.splitlines()[1:]}
    assert list(rows) == ["model.weight", "model.half", "mask", "step", "note"]
    assert "numpy.ndarray" in rows["model.weight"]
    assert "float32" in rows["model.weight"]
    assert "40x100" in rows["model.weight"]


def test_show_with_a_pattern_keeps_only_what_matches(cli, path: str) -> None:
    record = json.loads(cli("show", path, "latest", "nois?", "--json").stdout)
    assert [leaf["path"] for leaf in record["leaves"]] == ["noise"]
    assert set(record["leaves"][0]) == LEAF_KEYS
    assert record["checkpoint"]["ref"] == "other/run@1"


def test_show_with_a_pattern_that_matches_nothing_is_not_found(cli, path: str) -> None:
    result = cli("show", path, "latest", "modle.*")
    assert result.exit_code == 3
    assert "no leaf that matches 'modle.*'" in result.stderr


@pytest.mark.parametrize("ref", ["main@99", "nothing", "nobody@latest", "ffffff"])
def test_show_of_an_unknown_reference_is_not_found(cli, path: str, ref: str) -> None:
    result = cli("show", path, ref)
    assert result.exit_code == 3
    assert ref.split("@")[0] in result.stderr


def test_leaves_below_a_container_are_summed_up_for_a_terminal() -> None:
    leaves = [LeafInfo(p, "t", "f", [1], 10, stored, 1, 1, {}) for p, stored in (("a.b.c", 1), ("a.d", 2), ("e", 4))]
    rows = [(row[0], row[4], row[5]) for row in module._tree(leaves)]
    assert rows == [
        ("a", "20 B", "3 B"),
        ("  b", "10 B", "1 B"),
        ("    c", "10 B", "1 B"),
        ("  d", "10 B", "2 B"),
        ("e", "10 B", "4 B"),
    ]
