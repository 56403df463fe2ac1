"""One verb, and every call it makes to the operating system refused in turn."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ckstore
from tests.support.door import quickly
from tests.support.faults import Fault, FaultDoor
from tests.support.recording import Image, read_image
from tests.support.states import CHUNK, Key, assert_whole_and_tidy, keys
from tests.support.stores import save

SAVED = [("main", 0), ("main", 1), ("other", 0)]
Verb = Callable[[ckstore.Store], object]

VERBS: dict[str, tuple[Verb, set[Key], set[Key]]] = {
    "save": (lambda store: save(store, "main", 2), {("main", 2)}, set()),
    "first save of a run": (lambda store: save(store, "new", 0, parent=None), {("new", 0)}, set()),
    "delete": (lambda store: store.delete("main@1"), set(), {("main", 1)}),
    "tag": (lambda store: store.tag("main@1", "best"), set(), set()),
    "thin": (lambda store: store.thin("main@1", "shared"), set(), set()),
    "gc": (lambda store: store.gc(grace_s=0), set(), set()),
    "archive": (lambda store: store.gc(grace_s=0, archive=0), set(), set()),
    "load": (lambda store: store.load("main@1"), set(), set()),
}
"""What is tried, which checkpoints it adds and which it removes."""


def made(path: Path) -> Image:
    """A store with a few checkpoints, which can be smaller, and some garbage."""
    with ckstore.open(path, create=True, chunk_elements=CHUNK, level="fast") as store:
        for run, step in [*SAVED, ("gone", 0)]:
            save(store, run, step)
        store.delete("gone@0")
    return read_image(path)


def _try(path: Path, verb: Verb, door: FaultDoor) -> tuple[ckstore.Store, ckstore.CkError | None]:
    """(the store, what went wrong)."""
    store = ckstore.open(path)
    with door.installed():
        try:
            verb(store)
        except ckstore.CkError as error:
            return store, error
        return store, None


def _check(store: ckstore.Store, error: ckstore.CkError | None, name: str, door: FaultDoor) -> None:
    """After the fault the same store object goes on, and a new one finds all that was promised."""
    _, adds, removes = VERBS[name]
    assert door.synced_again == []
    assert door.fault is not None
    if error is not None:
        assert isinstance(error, ckstore.StorageError), repr(error)
        assert error.errno == door.fault.code
        assert any(name in str(error) for op in door.refused for name in (op.path, op.other) if name)
    found, expected = set(keys(store)), set(SAVED)
    done = found == (expected | adds) - removes
    assert done or found == expected
    if error is None:
        assert done
    elif done and adds | removes:
        assert error.details.get("outcome") == "unknown", error
    save(store, "after", 0)
    store.close()
    with ckstore.open(store.path) as again:
        assert_whole_and_tidy(again)
        assert set(keys(again)) == found | {("after", 0)}


def sweep(before: Image, path: Path, name: str, fault: Fault) -> int:
    """Refuse every call there is, one run each; how many were refused."""
    n = 0
    while True:
        door = FaultDoor(replace(fault, at=n))
        before.write(path)
        with quickly():
            try:
                store, error = _try(path, VERBS[name][0], door)
                if not door.refused and not door.n_cut:
                    store.close()
                    return n
                _check(store, error, name, door)
            except BaseException as trouble:
                trouble.add_note(f"{name}: {door.fault}: {door.refused[0] if door.refused else ''}")
                raise
            finally:
                shutil.rmtree(path, ignore_errors=True)
        n += 1
