from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ckstore.cli.replace import replacing
from ckstore.errors import ConflictError


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "out"
    with replacing(file, overwrite=False) as temporary:
        temporary.write_bytes(b"whole")
        assert not file.exists()
    assert file.read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["out"]


def test_a_failure_leaves_the_old_file_and_no_temporary(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes(b"old")

    def fail() -> None:
        with replacing(file, overwrite=True) as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError("cut short")

    with pytest.raises(RuntimeError, match="cut short"):
        fail()
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]


def _write_while_another_appears(file: Path) -> None:
    with replacing(file, overwrite=False) as temporary:
        temporary.write_bytes(b"ours")
        file.write_bytes(b"theirs")


def test_a_file_that_appeared_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "out"
    with pytest.raises(ConflictError, match="--overwrite"):
        _write_while_another_appears(file)
    assert file.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["out"]


def _no_links(*_: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_a_file_system_without_links_still_does_not_replace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", _no_links)
    file, other = tmp_path / "out", tmp_path / "other"
    with replacing(file, overwrite=False) as temporary:
        temporary.write_bytes(b"whole")
    assert file.read_bytes() == b"whole"
    with pytest.raises(ConflictError):
        _write_while_another_appears(other)
    assert other.read_bytes() == b"theirs"
