"""`repair` and `verify` as a person with a damaged store meets them: what they say, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import ckstore


def spoil(path: str, kind: str, at: int = -40) -> Path:
    file = min(Path(path, kind).iterdir())
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)
    return file


def test_of_a_whole_store_repair_says_so(cli, path):
    for arguments in ([], ["--apply"]):
        result = cli("repair", path, *arguments)
        assert (result.exit_code, result.stdout) == (0, "ok: nothing to repair\n")


def test_repair_is_dry_until_it_is_applied(cli, path):
    name = spoil(path, "closure").name
    before = sorted(Path(path).rglob("*"))
    result = cli("repair", path)
    assert result.exit_code == 1
    assert f"closure {name}" in result.stdout
    assert f"`ckstore repair {path} --apply`" in result.stdout
    assert sorted(Path(path).rglob("*")) == before
    assert cli("verify", path).exit_code == 1
    result = cli("repair", path, "--apply")
    assert result.exit_code == 0
    assert "repaired: 1 object" in result.stdout
    assert cli("verify", path).exit_code == 0
    assert cli("repair", path).exit_code == 0


def test_what_is_lost_is_named_with_its_tensors(cli, path):
    spoil(path, "pack", 200)
    result = cli("repair", path, "--apply")
    assert result.exit_code == 1
    assert "LOST" in result.stdout
    assert "model." in result.stdout
    report = json.loads(cli("repair", path, "--json").stdout)
    assert set(report) == {"dry_run", "ok", "root_number", "remedies", "losses", "copied_bytes"}
    assert report["remedies"] == []
    assert {loss["ref"] for loss in report["losses"]} <= {"main@10", "main@20", "main@30", "main@40"}
    assert all(set(loss) == {"ref", "id", "tensors", "problem"} for loss in report["losses"])


def test_a_damaged_newest_root_is_repaired(cli, path):
    spoil(path, "root")
    assert cli("ls", path).exit_code == 5
    assert cli("verify", path).exit_code == 1
    result = cli("repair", path, "--apply")
    assert result.exit_code == 1, result.stdout
    assert "listed again" in result.stdout
    assert "LOST: notes of 1 checkpoint" in result.stdout
    assert "LOST: parts" not in result.stdout
    assert cli("ls", path).exit_code == 0
    with ckstore.open(path) as store:
        assert len(store.checkpoints()) == 5
        assert store.verify("data").ok


def test_verify_names_checkpoints_and_tensors(cli, path):
    spoil(path, "pack", 200)
    result = cli("verify", path)
    assert result.exit_code == 1
    assert "main@10: model." in result.stdout
    assert "`ckstore repair`" in result.stdout
    (damage,) = json.loads(cli("verify", path, "--json").stdout)["damages"]
    assert set(damage["tensors"]) == set(damage["checkpoints"])


def test_a_store_that_cannot_be_checked_is_another_matter(cli, tmp_path, monkeypatch):
    from ckstore.errors import StorageError
    from ckstore.store.fs import LocalFs

    assert cli("verify", tmp_path).exit_code == 3
    with ckstore.open(tmp_path / "store", create=True):
        pass

    def refuse(self, directory):
        raise StorageError("cannot list root: Input/output error", 5)

    monkeypatch.setattr(LocalFs, "names", refuse)
    for verb in ("verify", "repair"):
        result = cli(verb, tmp_path / "store")
        assert (result.exit_code, result.stdout) == (5, "")
