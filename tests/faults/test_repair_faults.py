"""Whatever call of a repair is refused: the next one finds all that was there to be found, and nothing is forgotten."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

import ckstore
from ckstore.engine import catalog
from tests.crash.spoiling import spoil
from tests.support.door import quickly
from tests.support.faults import Fault, FaultDoor
from tests.support.recording import Image, read_image
from tests.support.states import CHUNK, assert_whole_and_tidy
from tests.support.stores import save

NOTES = {("main", step): ([f"t{step}"], {"loss": 1.0}) for step in range(3)} | {("other", 0): ([], {})}


@pytest.fixture
def before(fast_path: Path, monkeypatch: pytest.MonkeyPatch) -> Image:
    """A store with damage of every kind; the newest root that is damaged only added what others tell of too."""
    monkeypatch.setenv("CKSTORE_THREADS", "1")
    monkeypatch.setattr(catalog, "INLINE_ENTRIES", 2)
    with ckstore.open(fast_path / "first", create=True, chunk_elements=CHUNK) as store:
        for step in range(3):
            save(store, "main", step, tags=[f"t{step}"], metrics={"loss": 1.0})
        save(store, "other", 0)
    spoil(fast_path / "first")
    return read_image(fast_path / "first")


def attempt(path: Path, door: FaultDoor) -> None:
    """A repair that may fail, but only with an error that names what the system said."""
    with door.installed():
        try:
            ckstore.repair(path, dry_run=False)
        except (ckstore.StorageError, ckstore.CorruptError):
            assert door.refused


def check(path: Path) -> None:
    assert not any(loss.tensors for loss in ckstore.repair(path, dry_run=False).losses)
    assert ckstore.repair(path).ok
    with ckstore.open(path) as store:
        assert {(ck.run, ck.step): (ck.tags, ck.metrics) for ck in store.checkpoints()} == NOTES
        assert_whole_and_tidy(store)


@pytest.mark.parametrize(
    ("fault", "stride"),
    [
        (Fault(errno.EIO, 0), 3),
        (Fault(errno.EIO, 0, after=True), 5),
        (Fault(errno.ENOSPC, 0, sticky=True), 2),
        (Fault(errno.EMFILE, 0, sticky=True), 5),
    ],
    ids=str,
)
def test_a_repair_that_is_refused_a_call_can_be_made_again(
    fault: Fault, stride: int, before: Image, fast_path: Path
) -> None:
    n = 0
    while True:
        door = FaultDoor(Fault(fault.code, n, fault.sticky, fault.after))
        before.write(fast_path / "store")
        with quickly():
            try:
                attempt(fast_path / "store", door)
                if not door.refused:
                    break
                door.fault = None
                check(fast_path / "store")
            except BaseException as error:
                error.add_note(f"{fault} {n}: {door.refused[:1]}")
                raise
            finally:
                shutil.rmtree(fast_path / "store")
        n += stride
    assert n > 20
