from __future__ import annotations

import json
from pathlib import Path

import ckstore

CHECKPOINT_KEYS = {
    "id", "ref", "run", "step", "time", "metrics", "tags", "meta", "logical_bytes", "stored_bytes", "parent",
    "n_tensors", "dropped",
}  # fmt: skip


def test_init_makes_a_store_once(cli, store_path: str) -> None:
    assert json.loads(cli("init", store_path, "--json").stdout) == {"path": store_path, "created": True}
    assert json.loads(cli("init", store_path, "--json").stdout) == {"path": store_path, "created": False}
    with ckstore.open(store_path, readonly=True) as store:
        assert store.checkpoints() == []


def test_init_leaves_what_is_in_a_store(cli, path: str) -> None:
    assert cli("init", path).stdout == f"already a store  {path}\n"
    with ckstore.open(path, readonly=True) as store:
        assert len(store.checkpoints()) == 5


def test_ls_lists_oldest_first_with_metrics_and_tags(cli, path: str) -> None:
    lines = cli("ls", path).stdout.splitlines()
    assert lines[0].split() == ["ref", "id", "time", "metrics", "tags", "logical", "stored"]
    assert [line.split()[0] for line in lines[1:]] == ["main@10", "main@20", "main@30", "main@40", "other/run@1"]
    assert "loss=0.5" in lines[2]
    assert " good " in lines[2]


def test_ls_as_json_has_the_documented_keys(cli, path: str) -> None:
    checkpoints = json.loads(cli("ls", path, "--json").stdout)["checkpoints"]
    assert all(set(checkpoint) == CHECKPOINT_KEYS for checkpoint in checkpoints)
    second = checkpoints[1]
    assert (second["ref"], second["tags"], second["metrics"]) == ("main@20", ["good"], {"loss": 0.5})
    assert second["parent"] == checkpoints[0]["id"]


def test_ls_of_a_run_lists_only_that_run(cli, path: str) -> None:
    checkpoints = json.loads(cli("ls", path, "--run", "other/run", "--json").stdout)["checkpoints"]
    assert [checkpoint["ref"] for checkpoint in checkpoints] == ["other/run@1"]


def test_ls_of_an_unknown_run_is_not_found(cli, path: str) -> None:
    result = cli("ls", path, "--run", "mian")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "no checkpoint of run 'mian'" in result.stderr


def test_ls_of_an_empty_store_prints_nothing_on_stdout(cli, store_path: str) -> None:
    cli("init", store_path)
    result = cli("ls", store_path)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no checkpoints yet\n")


def test_stats_counts_and_gives_the_ratio(cli, path: str) -> None:
    result = cli("stats", path)
    facts = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert facts["checkpoints"] == "5 in 2 runs"
    assert 0.1 < float(facts["ratio"].removesuffix(" stored / logical")) < 1.5
    assert "mostly noise" in result.stderr


def test_stats_as_json_is_the_report(cli, path: str) -> None:
    with ckstore.open(path, readonly=True) as store:
        assert json.loads(cli("stats", path, "--json").stdout) == store.stats().to_dict()


def test_stats_counts_around_a_damaged_segment_and_says_so(cli, path: str) -> None:
    whole = json.loads(cli("stats", path, "--json").stdout)
    assert whole["damaged_segments"] == 0
    assert 0 < whole["root_bytes"] < whole["stored_bytes"]
    next(Path(path, "segment").iterdir()).write_bytes(b"")
    result = cli("stats", path)
    assert (result.exit_code, "1 damaged segment: " in result.stderr) == (0, True)
    assert json.loads(cli("stats", path, "--json").stdout)["n_chunks"] < whole["n_chunks"]
