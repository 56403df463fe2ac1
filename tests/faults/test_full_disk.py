"""A full disk: whoever found no space leaves nothing behind, so that a delete and a gc can make some."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

import ckstore
from tests.support.faults import Fault, FaultDoor
from tests.support.states import assert_whole_and_tidy, keys
from tests.support.stores import save


def files(store: ckstore.Store) -> set[str]:
    """All but the roots."""
    return {str(path) for path in Path(store.path).rglob("*") if path.is_file() and path.parent.name != "root"}


@pytest.mark.parametrize("sticky", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("verb", ["save", "tag"])
def test_what_found_no_space_leaves_nothing_behind(open_store, monkeypatch, verb, sticky):
    """Whichever call it was, but for those from which on the commit may be known to others."""
    monkeypatch.setenv("CKSTORE_THREADS", "1")
    store = open_store()
    save(store, "main", 0)
    before, outcome = files(store), None
    for n in range(1000):
        door = FaultDoor(Fault(errno.ENOSPC, n, sticky))
        mine = open_store()  # with no file open yet that the door has not seen
        with door.installed():
            try:
                save(mine, "main", 1) if verb == "save" else mine.tag("main@0", "best")
            except ckstore.StorageError as error:
                outcome = error.details.get("outcome")
        if outcome == "unknown":
            break
        assert files(store) == before, door.fault
    assert n > 3
    store.gc(grace_s=0)
    assert_whole_and_tidy(store)


def test_a_gc_goes_on_after_a_save_that_filled_the_disk(open_store):
    store = open_store()
    for step in range(2):
        save(store, "main", step, parent=None)
    door, before = FaultDoor(Fault(errno.ENOSPC, 12, sticky=True)), files(store)
    mine = open_store()
    with door.installed(), pytest.raises(ckstore.StorageError):
        save(mine, "other", 0)
    assert files(store) == before
    store.delete("main@0")
    assert store.gc(grace_s=0).freed_bytes > 0
    assert keys(store) == [("main", 1)]
