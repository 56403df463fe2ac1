"""Deleted long ago or lost with a page of the catalog: what a repair lists again, and what it says is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

import ckstore
from ckstore.engine.gc import trim
from tests.corrupt.forgetful import FROZEN, forget, pages, state, store_at
from tests.corrupt.mended import flip, flip_newest_root, no_syncs
from tests.support.paths import fast_path
from tests.support.states import keys
from tests.support.stores import once

__all__ = ["fast_path", "no_syncs", "store_at"]


def with_a_deleted_one(path: Path, n: int) -> list[tuple[str, int]]:
    """main@1 was deleted before any root there is, and lives on in the manifest of main@2; what there is now."""
    with ckstore.open(path) as store:
        for step in (1, 2):
            store.save(state(step, **FROZEN), step=step)
        gone = store._resolve("main@1").manifest.name
        store.delete("main@1")
        store.save(state(7), run="precious", step=7)
        for step in range(3, n):
            store.save(state(step), step=step)
        forget(store)
        assert (path / "manifest" / gone).exists()
        return keys(store)


def test_a_checkpoint_deleted_long_ago_does_not_come_back_past_a_damaged_root(store_at: Path) -> None:
    before = with_a_deleted_one(store_at, 20)
    flip_newest_root(store_at)
    report = ckstore.repair(store_at, dry_run=False)
    assert report.losses == []
    assert [(one.object, one.remedy) for one in report.remedies[1:]] == [("checkpoint main@1", "left deleted")]
    with ckstore.open(store_at) as store:
        assert keys(store) == before
        assert store.checkpoint("latest").ref == "main@19"


def test_nor_does_one_that_an_old_root_still_tells_of(store_at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It moved to a page and was deleted from there; a gc has removed that page, and not its manifest."""
    monkeypatch.setattr(trim, "KEEP_ROOTS", 1000)
    before = with_a_deleted_one(store_at, 3)
    with ckstore.open(store_at) as store:
        store.save(state(1, **FROZEN), run="other", step=1)
        for step in range(2, 20):
            store.save(state(step, **(FROZEN if step == 2 else {})), run="other", step=step)
        store.delete("other@1")
        store.gc(grace_s=0)
        before = keys(store)
    flip_newest_root(store_at)
    assert ckstore.repair(store_at, dry_run=False).losses == []
    with ckstore.open(store_at) as store:
        assert keys(store) == before


def test_what_may_have_been_deleted_hides_no_loss(store_at: Path) -> None:
    before = with_a_deleted_one(store_at, 20)
    with ckstore.open(store_at) as store:
        lost = Path(store.path, "manifest", store._resolve("precious@7").manifest.name)
        page, n_entries = pages(store)[0], store._session.repo.root().catalog[0].n_entries
    lost.unlink()
    flip(page)
    report = ckstore.repair(store_at, dry_run=False)
    lost_entries = [loss for loss in report.losses if loss.tensors]
    assert [(loss.ref, loss.tensors) for loss in lost_entries] == [("?", ["*"])]
    assert f"1 of {n_entries} entries" in lost_entries[0].problem
    assert "or it is among the 1 listed again of which nothing tells" in lost_entries[0].problem
    doubtful = [one.object for one in report.remedies if "nothing tells" in one.remedy]
    assert doubtful == ["checkpoint main@1"]
    with ckstore.open(store_at) as store:
        assert keys(store) == [("main", 1), *(key for key in before if key != ("precious", 7))]


def test_a_checkpoint_of_a_lost_page_comes_back_though_others_share_its_pages(store_at: Path) -> None:
    """It cannot be told from one that was deleted: what is left out now would be lost with the next gc."""
    with ckstore.open(store_at) as store:
        for step in range(20):
            store.save(state(step, **FROZEN), step=step)
        forget(store)
        before, page = keys(store), pages(store)[0]
    flip(page)
    report = ckstore.repair(store_at, dry_run=False)
    assert [loss.ref for loss in report.losses if loss.tensors] == ["?"]
    with ckstore.open(store_at) as store:
        assert keys(store) == before
        store.gc(grace_s=0)
        assert store.verify("data").ok


def test_notes_that_no_root_tells_of_are_a_loss(store_at: Path) -> None:
    """Else `keep` would delete what a tag protected."""
    with ckstore.open(store_at) as store:
        for step in range(16):
            store.save(state(step), step=step, tags=["best"] if step == 3 else [])
        forget(store)
        page, n_entries = pages(store)[0], store._session.repo.root().catalog[0].n_entries
    flip(page)
    report = ckstore.repair(store_at, dry_run=False)
    assert [(loss.ref, loss.tensors) for loss in report.losses] == [(f"main@{step}", []) for step in range(n_entries)]
    assert "tags and meta" in report.losses[3].problem
    assert ckstore.repair(store_at).ok


@pytest.mark.parametrize("whole", [True, False])
def test_a_save_that_never_finished_makes_up_for_no_lost_entry(store_at: Path, whole: bool) -> None:
    with ckstore.open(store_at) as store:
        for step in range(16):
            store.save(state(step), step=step)
        lost = store._resolve("main@2").manifest.name
        forget(store)
        store._session.repo.roots.publish = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        once(store._session.repo.fs, "remove", lambda: None)
        with pytest.raises(KeyboardInterrupt):
            store.save(state(99, same=state(9)["z"]), run="unfinished", step=99, parent=None)
        page, before = pages(store)[0], keys(store)
    Path(store_at, "manifest", lost).unlink()
    if not whole:
        max((store_at / "pack").iterdir(), key=lambda file: file.stat().st_mtime_ns).unlink()
    flip(page)
    report = ckstore.repair(store_at, dry_run=False)
    assert [loss.ref for loss in report.losses if loss.tensors] == ["?"]
    with ckstore.open(store_at) as store:
        left = [key for key in before if key != ("main", 2)]
        assert [key for key in keys(store) if key[0] == "main"] == left
        assert (("unfinished", 99) in keys(store)) is whole
        assert keys(store)[-1] == left[-1]


def test_a_checkpoint_without_manifest_and_closure_is_named_with_what_to_do(store_at: Path) -> None:
    with ckstore.open(store_at) as store:
        for step in range(3):
            store.save(state(step), step=step)
        entry = store._resolve("main@1")
    for file in (store_at / "manifest" / entry.manifest.name, store_at / "closure" / entry.closure.name):
        file.write_bytes(file.read_bytes()[:-1])
    (loss,) = ckstore.repair(store_at, dry_run=False).losses
    assert (loss.ref, loss.tensors) == ("main@1", ["*"])
    assert f"manifest {entry.manifest.name}" in loss.problem
    assert f"closure {entry.closure.name}" in loss.problem
    assert "delete the checkpoint" in loss.problem
    with ckstore.open(store_at) as store:
        with pytest.raises(ckstore.CorruptError, match="delete that checkpoint"):
            store.gc(grace_s=0)
        store.delete("main@1")
        store.gc(grace_s=0)
        assert store.verify("data").ok
        assert store.repair().ok
