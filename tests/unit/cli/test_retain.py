from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

import ckstore
from ckstore.cli import retain


def _refs(path: str) -> list[str]:
    with ckstore.open(path, readonly=True) as store:
        return [checkpoint.ref for checkpoint in store.checkpoints()]


def test_keep_then_gc_leaves_what_the_rules_keep(cli, path: str) -> None:
    said = json.loads(cli("keep", path, "--last", "1", "--best", "loss:max:1", "--yes", "--json").stdout)
    assert [(one["ref"], one["action"]) for one in said["checkpoints"]] == [
        ("main@10", "kept"), ("main@20", "kept"), ("main@30", "deleted"), ("main@40", "kept"), ("other/run@1", "kept"),
    ]  # fmt: skip
    assert said["checkpoints"][1]["reasons"] == ["tagged good"]
    assert (said["dry_run"], said["over_quota_bytes"]) == (False, 0)
    assert _refs(path) == ["main@10", "main@20", "main@40", "other/run@1"]
    assert cli("gc", path, "--grace", "0").exit_code == 0
    with ckstore.open(path) as store:
        assert store.verify("data").ok


def test_keep_says_what_it_does_before_it_asks(cli, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retain, "_agreed", lambda as_json: click.confirm("go on?"))
    result = cli("keep", path, "--every", "20", answer="n\n")
    before, _, _ = result.stdout.partition("go on?")
    rows = [line.split() for line in before.splitlines()]
    assert rows[0] == ["ref", "id", "becomes", "why"]
    assert [row[0] for row in rows[1:6] if row[2] == "deleted"] == ["main@10", "main@30"]
    assert "to delete: 2 checkpoints" in before
    assert (result.exit_code, result.stderr) == (0, "nothing deleted\n")
    assert len(_refs(path)) == 5
    result = cli("keep", path, "--every", "20", answer="y\n")
    assert "deleted 2 checkpoints; `ckstore gc" in result.stdout
    assert _refs(path) == ["main@20", "main@40", "other/run@1"]


def test_keep_does_what_was_agreed_to_or_nothing(cli, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(as_json: bool) -> bool:
        with ckstore.open(path) as store:
            store.tag("main@10", "mine")
        return True

    monkeypatch.setattr(retain, "_agreed", slow)
    result = cli("keep", path, "--last", "1")
    assert (result.exit_code, "look at a new dry run" in result.stderr) == (4, True)
    assert len(_refs(path)) == 5


@pytest.mark.parametrize("more", [[], ["--json"]])
@pytest.mark.parametrize("verb", [["keep", "--last", "1"], ["thin", "main@10", "--drop", "mask"]], ids=lambda v: v[0])
def test_yes_is_needed_where_nobody_can_be_asked(cli, path: str, verb: list[str], more: list[str]) -> None:
    result = cli(verb[0], path, *verb[1:], *more)
    assert result.exit_code == 2
    assert "needs --yes" in result.stderr
    with ckstore.open(path, readonly=True) as store:
        assert [ck.dropped for ck in store.checkpoints()] == [[]] * 5


def test_keep_asks_nothing_where_there_is_nothing_to_do(cli, path: str) -> None:
    result = cli("keep", path, "--last", "9")
    assert result.exit_code == 0
    assert "to delete: 0 checkpoints" in result.stdout


def test_dry_runs_change_nothing(cli, path: str) -> None:
    before = {file: file.read_bytes() for file in Path(path).rglob("*") if file.is_file()}
    kept = cli("keep", path, "--last", "1", "--thin", "model.*", "--quota", "1KiB", "--dry-run")
    assert "the quota all the same" in kept.stderr
    assert "to delete: " in kept.stdout
    record = json.loads(cli("keep", path, "--tagged", "--dry-run", "--json").stdout)
    assert record["dry_run"] is True
    thinned = cli("thin", path, "main@10", "--drop", "model.*", "--dry-run")
    assert "main@10 loses 2 tensors, 23.4 KiB logical, " in thinned.stdout
    assert json.loads(cli("thin", path, "main@10", "--drop", "mask", "--dry-run", "--json").stdout)["dry_run"] is True
    assert before == {file: file.read_bytes() for file in Path(path).rglob("*") if file.is_file()}


def test_keep_thins_what_is_older(cli, path: str) -> None:
    arguments = ["--thin", "model.half", "--thin-beyond", "2", "--run", "main", "--yes"]
    result = cli("keep", path, *arguments)
    assert "deleted 0 checkpoints, thinned 1; `ckstore gc" in result.stdout  # 10; 20 is tagged
    with ckstore.open(path, readonly=True) as store:
        assert [ck.dropped for ck in store.checkpoints()] == [["model.half"], [], [], [], []]


def test_thin_drops_leaves_and_show_says_so(cli, path: str) -> None:
    before = json.loads(cli("ls", path, "--json").stdout)["checkpoints"][1]
    result = cli("thin", path, "good", "--drop", "model.*", "--drop", "note", "--yes", "--json")
    record = json.loads(result.stdout)
    assert (record["plan"]["n_tensors"], record["plan"]["drop"]) == (2, ["model.*", "note"])
    assert record["checkpoint"]["id"] == before["id"]
    assert record["checkpoint"]["dropped"] == ["model.*", "note"]
    shown = cli("show", path, "good").stdout
    assert ["dropped", "model.*", "note"] in [line.split() for line in shown.splitlines()]
    assert "model.weight" not in shown
    assert "dropped" not in cli("show", path, "main@10").stdout
    text = cli("thin", path, "main@10", "--drop", "mask", "--yes").stdout
    assert "thinned main@10; `ckstore gc" in text


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["keep"], 2, "without any rule"),
        (["keep", "--run", "main"], 2, "without any rule"),
        (["keep", "--last", "0"], 2, "--last"),
        (["keep", "--best", "loss"], 2, "METRIC:min:N"),
        (["keep", "--ttl", "7"], 2, "a duration"),
        (["keep", "--quota", "much"], 2, "a size"),
        (["keep", "--quota", "9" * 400], 2, "more than can be meant"),
        (["keep", "--best", "loss:min:" + "9" * 5000], 2, "METRIC:min:N"),
        (["keep", "--last", "1", "--thin-beyond", "2"], 2, "give thin= too"),
        (["thin", "main@10"], 2, "--drop"),
        (["thin", "main@99", "--drop", "x"], 3, "main@99"),
        (["thin", "main@10", "--drop", "modle.*"], 3, "nearest are: model"),
        (["thin", "main@10", "--drop", "*"], 2, "nothing would be left"),
    ],
    ids=lambda value: str(value)[:80],
)
def test_what_is_wrong_is_said_and_nothing_is_done(
    cli, path: str, arguments: list[str], code: int, complaint: str
) -> None:
    result = cli(arguments[0], path, *arguments[1:], "--yes")
    assert (result.exit_code, complaint in result.stderr) == (code, True), result.stderr
    assert len(_refs(path)) == 5
