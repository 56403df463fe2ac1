from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import pytest

import ckstore
from ckstore.cli import remove
from ckstore.engine.reports import GcReport
from ckstore.errors import UsageError


def _refs(path: str) -> list[str]:
    with ckstore.open(path, readonly=True) as store:
        return [checkpoint.ref for checkpoint in store.checkpoints()]


def _disk_bytes(path: str) -> int:
    return sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())


def test_rm_then_gc_frees_what_rm_said(cli, path: str) -> None:
    with ckstore.open(path) as store:
        store.gc()
    before = _disk_bytes(path)
    said = json.loads(cli("rm", path, "other/run@1", "main@40", "--yes", "--json").stdout)
    assert [each["ref"] for each in said["deleted"]] == ["other/run@1", "main@40"]
    assert _refs(path) == ["main@10", "main@20", "main@30"]
    planned = json.loads(cli("gc", path, "--dry-run", "--json").stdout)
    done = json.loads(cli("gc", path, "--json").stdout)
    assert planned["dry_run"] is True
    assert planned["condemned_bytes"] >= said["exclusive_bytes"] > 30_000
    assert done["freed_bytes"] >= planned["condemned_bytes"]
    assert _disk_bytes(path) < before - said["exclusive_bytes"] + 8192  # the roots of these commits stay for a while


def test_rm_says_what_it_frees_before_it_asks(cli, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remove, "_agreed", lambda as_json: click.confirm("delete?"))
    result = cli("rm", path, "other/run@1", answer="n\n")
    before, _, _ = result.stdout.partition("delete?")
    assert "deleting frees " in before
    assert "other/run@1" in before
    assert (result.exit_code, result.stderr) == (0, "nothing deleted\n")
    assert len(_refs(path)) == 5


def test_rm_deletes_when_the_answer_is_yes(cli, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remove, "_agreed", lambda as_json: click.confirm("delete?"))
    result = cli("rm", path, "main@40", answer="y\n")
    assert "deleted 1 checkpoint; `ckstore gc" in result.stdout
    assert "main@40" not in _refs(path)


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_rm_needs_yes_where_nobody_can_be_asked(cli, path: str, more: list[str]) -> None:
    result = cli("rm", path, "main@40", *more)
    assert result.exit_code == 2
    assert "needs --yes" in result.stderr
    assert len(_refs(path)) == 5


def test_rm_asks_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "confirm", lambda *_, **__: True)
    assert remove._agreed(as_json=False) is True
    with pytest.raises(UsageError):
        remove._agreed(as_json=True)


def test_rm_of_a_tagged_checkpoint_is_a_conflict_and_deletes_nothing_else(cli, path: str) -> None:
    result = cli("rm", path, "main@40", "main@20", "--yes")
    assert result.exit_code == 4
    assert "main@20 is tagged good" in result.stderr
    assert len(_refs(path)) == 5


def test_rm_with_one_unknown_reference_deletes_nothing(cli, path: str) -> None:
    assert cli("rm", path, "main@40", "main@99", "--yes").exit_code == 3
    assert len(_refs(path)) == 5


def test_rm_resolves_all_references_before_it_deletes(cli, path: str) -> None:
    result = cli("rm", path, "latest", "other/run@latest", "other/run@1", "--yes", "--json")
    assert [each["ref"] for each in json.loads(result.stdout)["deleted"]] == ["other/run@1"]
    assert _refs(path) == ["main@10", "main@20", "main@30", "main@40"]


def test_rm_dry_run_deletes_nothing(cli, path: str) -> None:
    result = cli("rm", path, "latest", "--dry-run")
    assert (result.exit_code, "deleting frees" in result.stdout) == (0, True)
    assert len(_refs(path)) == 5


def test_gc_of_a_clean_store_says_so(cli, path: str) -> None:
    cli("gc", path)
    result = cli("gc", path)
    assert (result.exit_code, result.stdout) == (0, "freed 0 B, 0 files\n")
    assert cli("gc", path, "--dry-run").stdout.splitlines()[-1] == "nothing to free now"


def test_gc_says_what_it_freed_and_moved(cli, path: str) -> None:
    cli("rm", path, "main@10", "main@30", "--yes")
    freed, moved = cli("gc", path, "--grace", "0").stdout.splitlines()
    assert freed.startswith("freed ")
    assert moved.startswith("moved ")


def test_gc_dry_run_frees_nothing(cli, path: str) -> None:
    cli("rm", path, "other/run@1", "--yes")
    before = _disk_bytes(path)
    result = cli("gc", path, "--dry-run")
    assert " to free now, in " in result.stdout
    assert _disk_bytes(path) == before


def test_gc_dry_run_says_what_deleting_each_checkpoint_would_do(cli, path: str) -> None:
    cli("rm", path, "main@10", "--yes")
    record = json.loads(cli("gc", path, "--dry-run", "--json").stdout)
    assert [one["ref"] for one in record["checkpoints"]] == ["main@20", "main@30", "main@40", "other/run@1"]
    assert record["checkpoints"][0]["support_bytes"] > 0
    titles, *rows = cli("gc", path, "--dry-run").stdout.splitlines()
    assert titles.split("  ")[0] == "ref"
    assert [row.split()[0] for row in rows[:4]] == ["main@20", "main@30", "main@40", "other/run@1"]
    assert any("stay as bases of others" in row for row in rows[4:])


def test_gc_moves_no_more_than_it_may(cli, path: str) -> None:
    cli("rm", path, "main@10", "main@30", "--yes")
    record = json.loads(cli("gc", path, "--max-repack", "0", "--json").stdout)
    assert (record["repacked_bytes"], record["rebased_bytes"]) == (0, 0)
    assert json.loads(cli("gc", path, "--max-repack", "1MiB", "--json").stdout)["rebased_bytes"] > 0
    assert cli("gc", path, "--max-repack", "much").exit_code == 2


def test_gc_archives_what_is_old_once(cli, path: str) -> None:
    planned = json.loads(cli("gc", path, "--archive", "1", "--dry-run", "--json").stdout)
    assert planned["archive_checkpoints"] == 3
    assert "3 checkpoints to archive: at most " in cli("gc", path, "--archive", "1", "--dry-run").stdout
    assert "archived 3 checkpoints: " in cli("gc", path, "--archive", "1").stdout
    record = json.loads(cli("gc", path, "--archive", "1", "--json").stdout)
    assert (record["archive_checkpoints"], record["archive_tried_bytes"]) == (0, 0)
    assert cli("gc", path, "--archive", "-1").exit_code == 2


def test_gc_expire_writers_waits_for_nobody(cli, path: str) -> None:
    cli("rm", path, "other/run@1", "--yes")
    with ckstore.open(path) as store, store._session.repo.writer():
        assert "still at work" in cli("gc", path, "--grace", "0").stderr
        result = cli("gc", path, "--grace", "0", "--expire-writers")
    assert (result.exit_code, result.stderr) == (0, "")
    assert not result.stdout.startswith("freed 0 B")


def test_gc_in_an_emergency_drops_segments_and_says_so(cli, path: str) -> None:
    cli("rm", path, "other/run@1", "main@10", "--yes")
    result = cli("gc", path, "--emergency")
    assert "1 segment dropped: all chunks stay readable" in result.stderr
    with ckstore.open(path) as store:
        assert store.verify("data").ok


def test_gc_says_what_is_damaged_and_where_there_was_no_room(path: str) -> None:
    report = GcReport(False, 0, 0, 0, 0, 0, 0, 0, unmovable=["pack p: bad"], stopped="No space left on device")
    said = list(remove._notes(report, path))
    assert "1 damaged place left as it is, first pack p: bad" in said[0]
    assert "No space left on device" in said[1]


def test_gc_says_that_a_writer_of_another_host_may_still_live(cli, path: str) -> None:
    lease = Path(path, "lease", "1-0123456789abcdef")
    lease.write_text('{"host": "far away", "pid": 1, "count": 7}')
    result = cli("gc", path, "--grace", "0")
    assert "1 writer of another host may be dead or alive" in result.stderr
    assert json.loads(cli("gc", path, "--grace", "0", "--json").stdout)["unjudged_leases"] == 1
    assert lease.exists()


def test_gc_says_that_it_dropped_a_damaged_segment(cli, path: str) -> None:
    with ckstore.open(path) as store:
        store.delete("other/run@1")
        for ref in store._session.repo.root().segments:
            Path(path, "segment", ref.name).write_bytes(b"")
    result = cli("gc", path)
    assert result.exit_code == 0
    assert "segments dropped: all chunks stay readable" in result.stderr
    with ckstore.open(path) as store:
        assert store.verify("data").ok


def _damage_closure(path: str, ref: str) -> None:
    with ckstore.open(path, readonly=True) as store:
        name = store._resolve(ref).closure.name
    file = Path(path, "closure", name)
    data = bytearray(file.read_bytes())
    data[-40] ^= 1
    file.write_bytes(data)


def test_a_damaged_closure_stops_neither_rm_nor_du_and_gc_says_what_to_delete(cli, path: str) -> None:
    _damage_closure(path, "main@30")
    record = json.loads(cli("du", path, "--json").stdout)
    assert [used["ref"] for used in record["checkpoints"] if used["damaged"]] == ["main@30"]
    shown = cli("du", path)
    assert (shown.exit_code, "damaged: main@30" in shown.stderr) == (0, True)
    stopped = cli("gc", path)
    assert stopped.exit_code == 5
    assert "main@30 needs it, so nothing can be freed" in stopped.stderr
    said = cli("rm", path, "main@40", "--yes")
    assert (said.exit_code, "damaged: main@30" in said.stderr) == (0, True)
    assert json.loads(cli("rm", path, "main@30", "--yes", "--json").stdout)["damaged"] == ["main@30"]
    assert cli("gc", path).exit_code == 0
    assert _refs(path) == ["main@10", "main@20", "other/run@1"]
    with ckstore.open(path) as store:
        assert store.verify("data").ok


def test_a_closure_that_is_not_there_is_damage_as_well(cli, path: str) -> None:
    with ckstore.open(path, readonly=True) as store:
        Path(path, "closure", store._resolve("main@30").closure.name).unlink()
    assert json.loads(cli("rm", path, "main@30", "--yes", "--json").stdout)["damaged"] == ["main@30"]
    assert (cli("du", path).exit_code, cli("gc", path).exit_code) == (0, 0)
