from __future__ import annotations

import json

import ckstore


def test_du_lists_every_checkpoint_and_sums_up_the_runs(cli, path: str) -> None:
    table, _, totals = cli("du", path).stdout.partition("\n\n")
    assert [line.split()[0] for line in table.splitlines()] == [
        "ref", "main@10", "main@20", "main@30", "main@40", "other/run@1",
    ]  # fmt: skip
    assert "run main" in totals
    assert "4 checkpoints" in totals
    assert "run other/run" in totals
    assert "dead" in totals


def test_du_as_json_adds_up(cli, path: str) -> None:
    record = json.loads(cli("du", path, "--json").stdout)
    assert set(record) == {"total_bytes", "dead_bytes", "checkpoints", "runs"}
    assert [run["n_checkpoints"] for run in record["runs"]] == [4, 1]
    assert record["total_bytes"] >= sum(each["exclusive_bytes"] for each in record["checkpoints"])
    alone = record["checkpoints"][-1]
    assert alone["ref"] == "other/run@1"
    assert alone["exclusive_bytes"] > 30_000  # its 5,000 random float64 belong to nobody else


def test_du_says_how_to_free_dead_bytes(cli, path: str) -> None:
    with ckstore.open(path) as store:
        store.delete("other/run@1")
    dead = next(line for line in cli("du", path).stdout.splitlines() if line.startswith("dead"))
    assert "`ckstore gc` frees it" in dead


def test_du_of_an_empty_store_has_only_totals(cli, store_path: str) -> None:
    cli("init", store_path)
    total, dead = cli("du", store_path).stdout.splitlines()
    assert (total.split()[0], dead) == ("total", "dead   0 B")
