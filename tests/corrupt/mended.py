"""A store that holds most things twice, ways to spoil it, and what must be true of it after a repair."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ckstore
from ckstore.engine import catalog
from ckstore.engine.reports import Loss, RepairReport
from ckstore.errors import CkError
from tests.support.door import quickly
from tests.support.paths import fast_path
from tests.support.states import CHUNK, assert_same, state_of
from tests.support.stores import save

__all__ = ["fast_path"]

Contents = dict[str, Any]


def two_copies(path: Path) -> None:
    """A store of two runs that hold the same, each with frames of its own, and one that shares theirs."""
    with pytest.MonkeyPatch.context() as patch, ckstore.open(path, create=True, chunk_elements=CHUNK) as store:
        patch.setattr(catalog, "INLINE_ENTRIES", 2)
        for step in range(3):
            store.save(state_of("main", step), run="main", step=step, metrics={"loss": 1.0}, tags=[f"tag-{step}"])
        repo = store._session.repo
        with pytest.MonkeyPatch.context() as blind:  # the copies know nothing of the first ones, as of another host
            blind.setattr(repo.segments, "find", lambda *_: iter(()))
            for step in range(3):
                parent = "copy@latest" if step else None
                store.save(state_of("main", step), run="copy", step=step, parent=parent)
        store.save(state_of("other", 0), run="other", step=0, parent=None)
        store.tag("other@0", "good")


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("two") / "store"
    two_copies(path)
    return path


@pytest.fixture(scope="module")
def contents(golden: Path) -> Contents:
    with ckstore.open(golden) as store:
        return {ck.id: (ck, store.load(ck)) for ck in store.checkpoints()}


@pytest.fixture
def store_at(golden: Path, fast_path: Path) -> Path:
    shutil.copytree(golden, fast_path / "store")
    return fast_path / "store"


@pytest.fixture(autouse=True)
def no_syncs() -> Iterator[None]:
    with quickly():
        yield


def spoil(file: Path, rng: random.Random) -> str:
    """Flip, cut or delete."""
    data = file.read_bytes()
    match rng.randrange(4):
        case 0:
            file.unlink()
            return "deleted"
        case 1:
            n = rng.randrange(len(data))
            file.write_bytes(data[:n])
            return f"cut to {n}"
        case _:
            at, bit = rng.randrange(len(data)), rng.randrange(8)
            file.write_bytes(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
            return f"flipped bit {bit} of byte {at}"


def flat(state: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in state.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def assert_rest(store: ckstore.Store, report: RepairReport, contents: Contents) -> None:
    """All that the report does not list as lost is there and exact; whatever loads is exact."""
    lost = {loss.id: loss.tensors for loss in report.losses if loss.tensors}
    found = {ck.id: ck for ck in store.checkpoints()}
    unknown = "" in lost
    for id_, (ck, state) in contents.items():
        if id_ not in found:
            assert unknown or lost.get(id_) == ["*"], ck.ref
        elif id_ not in lost:
            assert_same(store.load(id_), state, ck.ref)
        else:
            assert_part(store, id_, lost[id_], state)


def assert_part(store: ckstore.Store, ref: str, lost: list[str], state: dict[str, Any]) -> None:
    """Of a checkpoint that has lost some tensors exactly these are missing."""
    with pytest.raises(CkError):
        store.load(ref)
    if lost == ["*"]:
        return
    with pytest.warns(ckstore.DamageWarning) as warned:
        part = dict(flat(store.load(ref, partial=True)))
    assert set(warned[0].message.missing) == set(lost)
    expected = {path: value for path, value in flat(state) if path not in lost}
    assert_same(part, expected, ref)


def check(path: Path, contents: Contents) -> RepairReport:
    """Repair, and look at what is left; a second repair finds nothing more to do."""
    before = {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    dry = ckstore.repair(path)
    assert {file.relative_to(path) for file in path.rglob("*") if file.is_file()} == set(before)
    report = ckstore.repair(path, dry_run=False)
    assert (dry.remedies, dry.losses, dry.copied_bytes) == (report.remedies, report.losses, report.copied_bytes)
    for name, data in before.items():
        assert (path / name).read_bytes() == data, "a repair changes no file that is there"
    with ckstore.open(path) as store:
        assert_rest(store, report, contents)
        assert_clean(store, report)
        again = store.repair(dry_run=False)
        assert again.remedies == [], [*report.losses, *report.remedies]
        assert of_tensors(again) == of_tensors(report)
    return report


def assert_clean(store: ckstore.Store, report: RepairReport) -> None:
    lost = {loss.ref: loss.tensors for loss in of_tensors(report)}
    verified = store.verify(level="data")
    assert verified.ok or lost, verified.damages
    touched = {(ref, path) for damage in verified.damages for ref in damage.tensors for path in damage.tensors[ref]}
    assert touched == {(ref, path) for ref, paths in lost.items() for path in paths}


def of_tensors(report: RepairReport) -> list[Loss]:
    """What a later repair will find lost too: it does not know of notes, nor of entries of which nothing is left."""
    return [loss for loss in report.losses if loss.id and loss.tensors]


def files(path: Path, kind: str) -> list[Path]:
    return sorted((path / kind).iterdir())


@pytest.fixture
def path(fast_path: Path) -> Path:
    """A store of three tagged checkpoints of one run."""
    with ckstore.open(fast_path / "store", create=True, chunk_elements=CHUNK) as store:
        for step in range(3):
            save(store, "main", step, metrics={"loss": step / 4}, tags=[f"t{step}"])
    return fast_path / "store"


def flip(file: Path) -> None:
    """Change one bit in the middle."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def flip_newest_root(path: Path) -> int:
    """Damage it; its number."""
    newest = min((path / "root").iterdir())
    flip(newest)
    return 2**64 - 1 - int(newest.name)


def page_of_two(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Move the first two entries to a page of the catalog; the page."""
    monkeypatch.setattr(catalog, "INLINE_ENTRIES", 2)
    with ckstore.open(path) as store:
        save(store, "main", 3)
    (page,) = (path / "catalog").iterdir()
    return page


def repaired(path: Path) -> tuple[ckstore.Store, list[str]]:
    """The store after a repair, and what has lost more than its notes."""
    report = ckstore.repair(path, dry_run=False)
    return ckstore.open(path), [loss.ref for loss in report.losses if loss.tensors]
