"""Stores that were copied by tools which leave empty directories out: git, zip, rsync -m, object stores."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import ckstore
from ckstore.engine import catalog
from ckstore.format.names import DIRECTORY
from tests.support.states import assert_whole_and_tidy, keys
from tests.support.stores import save

EMPTY = ("catalog", "lease", "tmp")


@pytest.fixture
def copied(open_store):
    """A store of three checkpoints without its empty directories."""
    store = open_store()
    for step in range(3):
        save(store, "main", step)
    for directory in EMPTY:
        os.rmdir(Path(store.path, directory))
    return store


def test_it_can_be_read_collected_and_added_up(copied, open_store):
    store = open_store()
    assert store.stats().n_checkpoints == 3
    assert len(store.usage().checkpoints) == 3
    assert store.gc(dry_run=True).condemned_objects == 0
    assert store.verify().ok
    with ckstore.open(copied.path, readonly=True) as reader:
        assert reader.gc(dry_run=True).condemned_objects == 0
    assert not any(Path(copied.path, directory).exists() for directory in EMPTY)
    store.delete("main@0")
    assert_whole_and_tidy(store)


def test_a_gc_is_the_first_to_write_to_it(copied, open_store):
    open_store().gc(grace_s=0)
    assert_whole_and_tidy(open_store())


def test_training_goes_on_beyond_the_first_page_of_the_catalog(copied, open_store, monkeypatch):
    monkeypatch.setattr(catalog, "INLINE_ENTRIES", 4)
    saver = open_store()
    for step in range(3, 12):
        save(saver, "main", step)
    assert keys(open_store()) == [("main", step) for step in range(12)]


def test_nothing_is_made_where_the_store_was_removed(copied):
    shutil.rmtree(copied.path)
    for verb in (lambda: save(copied, "main", 3), lambda: copied.gc(grace_s=0), lambda: copied.delete("latest")):
        with pytest.raises(ckstore.StoreNotFound):
            verb()
    assert not os.path.exists(copied.path)


@pytest.mark.parametrize("directory", [*(name for name in DIRECTORY.values() if name != "root"), "tmp"])
def test_a_directory_that_vanishes_under_a_writer_is_an_error_of_ckstore(open_store, directory):
    store = open_store()
    writer = store._session.repo.writer()
    os.rmdir(Path(store.path, directory))
    with pytest.raises(ckstore.CkError, match=directory):
        writer._fs.create(f"{directory}/{writer.new_name()}")
    with pytest.raises(ckstore.CkError, match=directory):
        writer._fs.sync_dir(directory)
    writer.__exit__(None, None, None)


def test_a_gc_of_a_store_that_was_opened_for_reading_deletes_nothing(copied):
    with ckstore.open(copied.path, readonly=True) as reader, pytest.raises(ckstore.UsageError, match="readonly"):
        reader.gc(grace_s=0)
    assert not Path(copied.path, "tmp").exists()
