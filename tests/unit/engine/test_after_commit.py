"""What fails after a save is published does not undo it."""

from __future__ import annotations

import errno

import pytest

import ckstore
from ckstore.engine import save as save_module
from ckstore.store.reserve import RESERVE
from tests.unit.engine.states import CHUNK, assert_same, drifting


@pytest.fixture
def store(store_path: str):
    with ckstore.open(store_path, create=True, chunk_elements=CHUNK) as opened:
        yield opened


@pytest.mark.parametrize("what", ["sizes", "create", "remove"])
def test_what_the_disk_says_after_the_commit_does_not_undo_the_save(store, monkeypatch, what):
    """Of the reserve alone: the checkpoint is published."""
    monkeypatch.setattr(save_module, "PACK_BYTES", 1000)
    fs = store._session.repo.fs
    call, failed = getattr(fs, what), []

    def fails(path, *more):
        if path in ("", RESERVE):
            failed.append(path)
            raise ckstore.StorageError("the disk said no", errno.EIO)
        return call(path, *more)

    monkeypatch.setattr(fs, what, fails)
    store.save(drifting(0), step=0)
    assert failed
    monkeypatch.undo()
    assert_same(store.load("main@0"), drifting(0))
    assert store.gc(grace_s=0).deleted_objects == 0
