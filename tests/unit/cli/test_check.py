from __future__ import annotations

import json
from pathlib import Path

import pytest

import ckstore


def _damage(path: str, kind: str, offset: int) -> Path:
    """Flip one bit in the largest file of a kind, `offset` bytes from its middle."""
    file = max((Path(path) / kind).iterdir(), key=lambda each: each.stat().st_size)
    data = bytearray(file.read_bytes())
    data[len(data) // 2 + offset] ^= 1
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("level", ["structure", "stored", "data"])
def test_verify_of_a_sound_store_is_ok(cli, path: str, level: str) -> None:
    result = cli("verify", path, "--level", level)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"ok: no damage found, {level} of ")


def test_verify_names_the_damaged_pack_and_its_checkpoints_and_exits_1(cli, path: str) -> None:
    file = _damage(path, "pack", 0)
    result = cli("verify", path)
    assert result.exit_code == 1
    assert file.name in result.stdout
    assert "other/run@1" in result.stdout
    assert "DAMAGED: " in result.stdout


def test_verify_as_json_is_the_report_and_exits_1_on_damage(cli, path: str) -> None:
    _damage(path, "manifest", 0)
    result = cli("verify", path, "--json")
    record = json.loads(result.stdout)
    assert result.exit_code == 1
    assert record["ok"] is False
    assert set(record) == {"level", "ok", "checked_objects", "checked_bytes", "damages"}
    assert set(record["damages"][0]) == {"object", "problem", "checkpoints", "tensors"}
    with ckstore.open(path, readonly=True) as store:
        assert record == store.verify().to_dict()


def test_verify_refuses_an_unknown_level(cli, path: str) -> None:
    assert cli("verify", path, "--level", "deep").exit_code == 2


@pytest.mark.parametrize("as_json", [False, True])
def test_a_damaged_newest_root_is_a_report_and_exit_1(cli, path: str, as_json: bool) -> None:
    newest = min(Path(path, "root").iterdir())
    data = bytearray(newest.read_bytes())
    data[100] ^= 1
    newest.write_bytes(data)
    result = cli("verify", path, *["--json"] * as_json)
    assert result.exit_code == 1
    assert "root 6" in result.output
    assert cli("ls", path).exit_code == 5
