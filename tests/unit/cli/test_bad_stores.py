"""Stores that cannot be used: what each command says about them, and with which exit code."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ckstore.format import envelope
from ckstore.format.names import ROOT, root_path
from ckstore.format.records import Root
from ckstore.store.fs import LocalFs
from ckstore.store.roots import Roots
from support.door import READS, Door, Op

READING = [
    ["ls"],
    ["show", "latest"],
    ["stats"],
    ["du"],
    ["verify"],
    ["repair"],
    ["gc", "--dry-run"],
    ["rm", "latest", "--dry-run"],
    ["export", "latest", "out.npz"],
]
CHANGING = [
    ["tag", "latest", "x"],
    ["untag", "good"],
    ["annotate", "latest", "--metric", "a=1"],
    ["rm", "latest", "--yes"],
    ["repair", "--apply"],
]
PAST_A_ROOT = ("verify", "repair")
"""Commands that have something to say of a store whose newest root is damaged."""


def _ids(arguments: list[str]) -> str:
    return " ".join(arguments)


every_command = pytest.mark.parametrize("arguments", READING + CHANGING + [["gc"]], ids=_ids)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _outcome(cli: Callable[..., Any], path: str, arguments: list[str]) -> tuple[int, str]:
    result = cli(arguments[0], path, *arguments[1:])
    assert result.stdout == ""
    assert result.stderr.startswith("ckstore: error: ")
    assert result.stderr.count("\n") == 1
    return result.exit_code, result.stderr


def _next_root(path: str, **changes: Any) -> None:
    """Commit a root that a later version might have written."""
    fs = LocalFs(path)
    roots = Roots(fs)
    newest = roots.newest()
    root = msgspec.structs.replace(newest, number=newest.number + 1, **changes)
    data, _ = envelope.encode(ROOT, roots.uuid or b"", root, compress=False)
    Path(path, root_path(root.number)).write_bytes(data)


def _newest_root(path: str) -> tuple[Path, Root]:
    root = Roots(LocalFs(path)).newest()
    return Path(path, root_path(root.number)), root


@every_command
@pytest.mark.parametrize("kind", ["missing", "empty directory", "file"])
def test_where_there_is_no_store_every_command_says_how_to_make_one(
    cli, tmp_path: Path, kind: str, arguments: list[str]
) -> None:
    path = tmp_path / "nothing"
    if kind == "file":
        path.write_text("not a store")
    elif kind == "empty directory":
        path.mkdir()
    code, message = _outcome(cli, str(path), arguments)
    assert code == 3
    assert f"no ckstore store at {path}" in message
    assert "ckstore init" in message


@pytest.mark.parametrize("arguments", [verb for verb in READING + CHANGING if verb[0] not in PAST_A_ROOT], ids=_ids)
def test_a_damaged_newest_root_stops_every_other_command_and_is_named(cli, path: str, arguments: list[str]) -> None:
    file, root = _newest_root(path)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)
    code, message = _outcome(cli, path, arguments)
    assert code == 5
    assert f"root {root.number}" in message


@every_command
@pytest.mark.parametrize("changes", [{"major": 2}, {"incompatible": ["encryption"]}], ids=str)
def test_a_store_of_a_newer_format_stops_every_command(
    cli, path: str, changes: dict[str, Any], arguments: list[str]
) -> None:
    _next_root(path, **changes)
    code, message = _outcome(cli, path, arguments)
    assert code == 5
    assert "newer" in message


@pytest.mark.parametrize("arguments", CHANGING, ids=_ids)
def test_a_store_that_only_newer_versions_may_write_can_be_read_and_not_changed(
    cli, path: str, arguments: list[str]
) -> None:
    _next_root(path, readonly_compatible=["shards"])
    assert cli("ls", path).exit_code == 0
    result = cli(arguments[0], path, *arguments[1:])
    assert result.exit_code == 5
    assert "shards" in result.stderr


class _ReadOnly(Door):
    """A file system that is mounted read-only."""

    def pass_through(self, op: Op, call: Callable[[], Any]) -> Any:
        if op.verb not in READS:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), op.path)
        return call()


@pytest.mark.parametrize("arguments", READING, ids=_ids)
def test_a_read_only_mount_is_no_trouble_for_commands_that_only_read(cli, path: str, arguments: list[str]) -> None:
    with _ReadOnly().installed():
        result = cli(arguments[0], path, *arguments[1:])
    assert (result.exit_code, "error" in result.stderr) == (0, False), result.stderr


@pytest.mark.parametrize("arguments", CHANGING, ids=_ids)
def test_a_read_only_mount_stops_a_change_with_the_reason(cli, path: str, arguments: list[str]) -> None:
    with _ReadOnly().installed():
        result = cli(arguments[0], path, *arguments[1:])
    assert result.exit_code == 5
    assert "Read-only file system" in result.stderr
    assert result.stderr.count("\n") == 1


def test_init_on_a_read_only_mount_says_so(cli, store_path: str) -> None:
    with _ReadOnly().installed():
        result = cli("init", store_path)
    assert result.exit_code == 5
    assert "Read-only file system" in result.stderr
