"""gc with emergency=True where a disk is full to the last block: it begins, it frees, and it writes next to nothing."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import ckstore
from ckstore.store.reserve import RESERVE, RESERVE_BYTES
from tests.support.door import Door, Op
from tests.support.mounts import small_tmpfs
from tests.support.states import CHUNK, assert_exact, assert_whole_and_tidy, keys, strays
from tests.support.stores import save

SIZE = 4 << 20


@pytest.fixture
def full(tmp_path: Path) -> Iterator[ckstore.Store]:
    """A store on a file system without a free block, with a checkpoint deleted."""
    with (
        small_tmpfs(tmp_path / "disk", SIZE),
        ckstore.open(tmp_path / "disk/s", create=True, chunk_elements=CHUNK) as store,
    ):
        for run in ("old", "main"):
            for step in range(4):
                save(store, run, step)
        store.gc(grace_s=0)  # makes the reserve
        for step in range(4):
            store.delete(f"old@{step}")
        filler = tmp_path / "disk/filler"
        with filler.open("wb", buffering=0) as out, suppress(OSError):
            while out.write(bytes(4096)):
                pass
        assert os.statvfs(filler.parent).f_bavail == 0
        yield store


def test_a_gc_can_begin_only_in_an_emergency_and_frees(full):
    with pytest.raises(ckstore.StorageError) as found:
        full.gc(grace_s=0)
    assert (found.value.errno, "--emergency" in str(found.value)) == (errno.ENOSPC, True)
    report = full.gc(grace_s=0, emergency=True)
    assert report.freed_bytes > 15_000
    assert report.dropped_segments > 0
    assert strays(full) == set()
    assert keys(full) == [("main", step) for step in range(4)]
    assert_exact(full)
    assert full.verify("data").ok


def test_after_it_there_is_room_to_save_again(full):
    full.gc(grace_s=0, emergency=True)
    Path(full.path, "../filler").unlink()
    save(full, "main", 4)
    assert_whole_and_tidy(full)
    assert Path(full.path, RESERVE).stat().st_size == RESERVE_BYTES


class Counted(Door):
    """Counts the bytes that are written, but for the reserve's own."""

    def __init__(self) -> None:
        super().__init__()
        self.n_bytes = 0

    def pass_through(self, op: Op, call):
        self.n_bytes += len(op.data) if op.verb == "write" and not op.path.endswith(RESERVE) else 0
        return call()


def test_it_writes_less_than_100_kib(open_store):
    """Whatever a disk without free blocks had to hold, the reserve has room for."""
    store = open_store()
    for step in range(30):
        save(store, "main", step)
    for step in range(29):
        store.delete(f"main@{step}")
    with Counted().installed() as door:
        assert open_store().gc(grace_s=0, emergency=True).deleted_objects > 60
    assert 0 < door.n_bytes < 100 << 10
    assert_whole_and_tidy(store)
