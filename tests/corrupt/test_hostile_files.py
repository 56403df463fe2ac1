"""Something else in the place of a file: nothing is followed out of the store, waited for, or removed outside it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import ckstore
from ckstore.errors import CkError
from tests.corrupt.damage import N_STEPS, Small, assert_state
from tests.support.door import quickly

KINDS = ("root", "catalog", "manifest", "closure", "segment", "pack")


@pytest.fixture
def path(small: Small, tmp_path: Path) -> Path:
    shutil.copytree(small.path, tmp_path / "store")
    return tmp_path / "store"


def put(how: str, path: Path, outside: Path) -> None:
    """Replace a file by something else. outside: a file with the same bytes."""
    shutil.copy(path, outside)
    path.unlink()
    match how:
        case "a link to the same bytes":
            path.symlink_to(outside)
        case "a link to nothing":
            path.symlink_to("nowhere")
        case "a link to itself":
            path.symlink_to(path.name)
        case "a pipe":
            os.mkfifo(path)
        case "a directory":
            path.mkdir()


def must_name(error: CkError, name: str) -> None:
    """The error says which object it is about."""
    assert name in str(error), repr(error)


HOW = ["a link to the same bytes", "a link to nothing", "a link to itself", "a pipe", "a directory"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_not_read(path, tmp_path, kind, how):
    files = sorted((path / kind).iterdir())
    name = files[0] if kind == "root" else files[-1]  # the newest root, the newest object
    put(how, name, tmp_path / "outside")
    n_right = 0
    with quickly():
        try:
            with ckstore.open(path, readonly=True) as store:
                for step in range(N_STEPS):
                    try:
                        assert_state(store.load(f"main@{step}"), step)
                        n_right += 1
                    except CkError as error:
                        must_name(error, name.name)
                assert kind == "segment" or not store.verify(level="stored").ok
        except CkError as error:
            must_name(error, "root")
    assert n_right == N_STEPS if kind == "segment" else n_right < N_STEPS


@pytest.mark.parametrize("how", ["a link to the same bytes", "a link to nothing"])
@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_gc_follows_no_link(path, tmp_path, kind, how):
    """A stray link is no object: whatever it leads to stays."""
    outside = tmp_path / "outside"
    shutil.copy(sorted((path / kind).iterdir())[-1], tmp_path / "copy")
    outside.write_bytes(b"mine")
    stray = path / kind / "1-ffffffffffffffff-1"
    stray.symlink_to(outside if how == "a link to the same bytes" else "nowhere")
    with quickly(), ckstore.open(path) as store:
        store.gc(grace_s=0)
        assert_state(store.load("latest"), N_STEPS - 1)
    assert outside.read_bytes() == b"mine"
