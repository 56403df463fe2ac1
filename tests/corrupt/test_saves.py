"""Damage to what a save could do without never stops it: unreadable counts as absent, and training goes on."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import ckstore
from ckstore.engine import catalog
from ckstore.errors import StorageError
from ckstore.store.fs import LocalFs
from tests.support.states import assert_same, keys, state_of
from tests.support.stores import open_store, save

__all__ = ["open_store"]

Open = Callable[[], ckstore.Store]


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries move to pages after two saves."""
    monkeypatch.setattr(catalog, "INLINE_ENTRIES", 2)


@contextmanager
def bad_sectors(directory: str) -> Iterator[None]:
    """Every read of a file in `directory` fails, as a disk that lost it makes it fail."""
    read, pread = LocalFs.read, LocalFs.pread

    def refuse(path: str) -> None:
        if path.startswith(f"{directory}/"):
            raise StorageError(f"cannot read {path}: Input/output error", errno.EIO, path=path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalFs, "read", lambda fs, path, *where: (refuse(path), read(fs, path, *where))[1])
        patch.setattr(LocalFs, "pread", lambda fs, fd, n, at, path: (refuse(path), pread(fs, fd, n, at, path))[1])
        yield


def flip(directory: Path, at: int) -> None:
    for path in directory.iterdir():
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)


def fill(open_store: Open, n: int = 5) -> ckstore.Store:
    store = open_store()
    for step in range(n):
        save(store, "main", step)
    return store


@pytest.mark.parametrize("kind", ["pack", "closure", "manifest", "segment", "catalog"])
def test_a_save_goes_on_where_the_disk_answers_with_errors(open_store: Open, early: None, kind: str) -> None:
    fill(open_store)
    saver = open_store()
    with bad_sectors(kind):
        save(saver, "main", 5)
        save(saver, "other", 0, tags=["best"])
        assert saver.save(state_of("new", 0), run="new").step == 0
    for run, step in [("main", 5), ("other", 0), ("new", 0)]:
        assert_same(open_store().load(f"{run}@{step}"), state_of(run, step))


@pytest.mark.parametrize("at", [-40, 60])
@pytest.mark.parametrize("kind", ["closure", "manifest", "segment", "catalog"])
def test_a_save_goes_on_beside_a_flipped_bit(open_store: Open, early: None, kind: str, at: int) -> None:
    store = fill(open_store)
    flip(Path(store.path, kind), at)
    for step in range(5, 12):
        save(open_store(), "main", step, tags=[f"t{step}"])
    save(open_store(), "other", 0)
    for step in range(5, 12):
        assert_same(open_store().load(f"main@{step}"), state_of("main", step))


def test_a_damaged_page_of_the_catalog_stays_as_it_is(open_store: Open, early: None) -> None:
    """What it holds may come back from a copy: its entries are neither lost nor joined by new ones."""
    store = fill(open_store)
    old = store._session.repo.root().catalog
    path = Path(store.path, "catalog", old[-1].page.name)
    data = path.read_bytes()
    flip(path.parent, 60)
    saver = open_store()
    for step in range(5, 12):
        save(saver, "main", step)
    assert saver._session.repo.root().catalog[: len(old)] == old
    path.write_bytes(data)
    assert keys(open_store()) == [("main", step) for step in range(12)]


@pytest.mark.parametrize("kind", ["manifest", "closure"])
def test_a_parent_that_was_asked_for_and_cannot_be_read_is_an_error(open_store: Open, kind: str) -> None:
    store = fill(open_store, 2)
    flip(Path(store.path, kind), -40)
    with pytest.raises(ckstore.CorruptError):
        save(open_store(), "main", 2, parent="main@1")
    assert [path.name for path in Path(store.path, "lease").iterdir()] == []
