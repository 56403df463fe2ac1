"""Lost pages of the catalog and lost roots: what is listed again, and what must not come back."""

from __future__ import annotations

import errno

import pytest

import ckstore
from ckstore.engine.health import rewrite
from ckstore.errors import StorageError
from ckstore.format.names import root_key
from ckstore.store.fs import LocalFs
from tests.corrupt.mended import flip, flip_newest_root, no_syncs, page_of_two, path, repaired
from tests.support.paths import fast_path
from tests.support.states import assert_exact, assert_whole_and_tidy, keys
from tests.support.stores import once, save

__all__ = ["fast_path", "no_syncs", "path"]


def test_entries_of_a_lost_page_come_back_as_an_older_root_had_them(path, monkeypatch):
    flip(page_of_two(path, monkeypatch))
    store, losses = repaired(path)
    with store:
        assert losses == []
        assert keys(store) == [("main", step) for step in range(4)]
        assert [(ck.tags, ck.metrics) for ck in store.checkpoints()][:2] == [
            (["t0"], {"loss": 0.0}),
            (["t1"], {"loss": 0.25}),
        ]
        assert_whole_and_tidy(store)


def test_without_older_roots_they_come_back_from_their_manifests_alone(path, monkeypatch):
    flip(page_of_two(path, monkeypatch))
    for old in sorted((path / "root").iterdir())[1:]:
        old.unlink()
    with pytest.raises(ckstore.CorruptError), ckstore.open(path) as store:
        store.checkpoints()
    report = ckstore.repair(path)
    assert [remedy.remedy for remedy in report.remedies if "checkpoint" in remedy.object] == [
        "listed again, without metrics, tags and meta, which are lost"
    ] * 2
    store, losses = repaired(path)
    with store:
        assert losses == []
        assert keys(store) == [("main", step) for step in range(4)]
        assert store.checkpoints()[0].tags == []
        assert_whole_and_tidy(store)


def test_a_checkpoint_that_was_deleted_does_not_come_back_with_a_lost_page(path, monkeypatch):
    with ckstore.open(path) as store:
        save(store, "main", 9)
        store.delete("main@9")
    flip(page_of_two(path, monkeypatch))
    store, losses = repaired(path)
    with store:
        assert losses == []
        assert keys(store) == [("main", 0), ("main", 1), ("main", 2), ("main", 3)]
        assert_whole_and_tidy(store)


def test_a_thinned_checkpoint_comes_back_thin(path, monkeypatch):
    with ckstore.open(path) as store:
        store.thin("main@0", drop=["sometimes"])
        thin = store.checkpoint("main@0").id
    flip(page_of_two(path, monkeypatch))
    store, losses = repaired(path)
    with store:
        assert losses == []
        assert keys(store) == [("main", step) for step in range(4)]
        assert store.checkpoint("main@0").id == thin
        assert "sometimes" not in store.load("main@0")
        store.gc(grace_s=0)
        assert store.verify("data").ok


def test_ids_stay_however_often_a_page_is_lost(path, monkeypatch):
    """Of a thinned checkpoint, and of one that was listed again, the first manifest is not the one that is left."""
    with ckstore.open(path) as store:
        store.thin("main@0", drop=["sometimes"])
        store.gc(grace_s=0)
        ids = [ck.id for ck in store.checkpoints()]
    flip(page_of_two(path, monkeypatch))
    for n in range(2):
        for old in sorted((path / "root").iterdir())[1:]:
            old.unlink()
        store, losses = repaired(path)
        with store:
            assert losses == []
            assert {ck.id for ck in store.checkpoints()} >= set(ids)
            assert store.checkpoint("main@0").to_dict()["dropped"] == ["sometimes"]
            store.gc(grace_s=0)
            assert store.verify("data").ok
        if n == 0:
            (page,) = (path / "catalog").iterdir()
            flip(page)


def test_a_tag_that_has_moved_on_stays_where_it_is(path, monkeypatch):
    page_of_two(path, monkeypatch)
    with ckstore.open(path) as store:
        store.tag("latest", "t0", move=True)
        (page,) = [ref.page.name for ref in store._session.repo.root().catalog]
    flip(path / "catalog" / page)
    store, _ = repaired(path)
    with store:
        assert [ck.ref for ck in store.checkpoints() if "t0" in ck.tags] == ["main@3"]
        assert [ck.tags for ck in store.checkpoints()][:2] == [[], ["t1"]]


def test_two_repairs_of_a_lost_page_list_its_entries_once(path, monkeypatch):
    flip(page_of_two(path, monkeypatch))
    once(rewrite, "apply", lambda: ckstore.repair(path, dry_run=False))
    store, _ = repaired(path)
    with store:
        assert keys(store) == [("main", step) for step in range(4)]
        assert_whole_and_tidy(store)


def test_what_no_manifest_tells_of_is_said_to_be_lost(path, monkeypatch):
    flip(page_of_two(path, monkeypatch))
    first = min((path / "manifest").iterdir())
    first.unlink()
    report = ckstore.repair(path, dry_run=False)
    assert [(loss.ref, loss.tensors) for loss in report.losses] == [("?", ["*"])]
    assert "1 of 2 entries" in report.losses[0].problem
    with ckstore.open(path) as store:
        assert len(keys(store)) == 3
        assert_exact(store)


def test_checkpoints_that_a_gc_had_deleted_under_damaged_roots_are_no_longer_listed(path):
    with ckstore.open(path) as store:
        store.untag("t0")
        older = store._session.repo.root().number
        for step in (0, 1, 2):
            for tag in store.checkpoint(f"main@{step}").tags:
                store.untag(tag)
            store.delete(f"main@{step}")
        save(store, "other", 1, parent=None)
        assert store.gc(grace_s=0).freed_bytes
        newest = store._session.repo.root().number
    for number in range(older + 1, newest + 1):
        flip(path / "root" / root_key(number))
    report = ckstore.repair(path, dry_run=False)
    with ckstore.open(path) as store:
        assert keys(store) == [("other", 1)]
        assert_whole_and_tidy(store)
    dropped = [remedy.object for remedy in report.remedies if remedy.remedy == "no longer listed"]
    assert dropped == ["checkpoint main@0", "checkpoint main@1", "checkpoint main@2"]


def test_roots_that_are_gone_are_noticed_by_the_names_of_what_was_written_after_them(path):
    with ckstore.open(path) as store:
        save(store, "main", 3)
        save(store, "main", 4)
    for newest in sorted((path / "root").iterdir())[:3]:
        newest.unlink()
    with ckstore.open(path) as store:
        assert keys(store) == [("main", 0), ("main", 1)]
    store, losses = repaired(path)
    with store:
        assert losses == []
        assert keys(store) == [("main", step) for step in range(5)]
        assert_whole_and_tidy(store)


def test_savers_that_commit_all_the_time_do_not_keep_a_page_from_being_repaired(path, monkeypatch):
    flip(page_of_two(path, monkeypatch))
    apply, steps = rewrite.apply, iter(range(4, 100))

    def late(repo, writer, plan):
        with ckstore.open(path) as store:
            save(store, "main", next(steps))
        return apply(repo, writer, plan)

    monkeypatch.setattr(rewrite, "apply", late)
    store, losses = repaired(path)
    with store:
        assert losses == []
        assert keys(store) == [("main", step) for step in range(5)]
        assert_whole_and_tidy(store)


def refuse(monkeypatch: pytest.MonkeyPatch, kind: str, times: int) -> None:
    """The first reads of objects of a kind are answered with EIO."""
    open_read, left = LocalFs.open_read, [times]

    def refused(fs: LocalFs, name: str) -> int:
        if name.startswith(f"{kind}/") and left[0]:
            left[0] -= 1
            raise StorageError("Input/output error", errno.EIO, path=name)
        return open_read(fs, name)

    monkeypatch.setattr(LocalFs, "open_read", refused)


@pytest.mark.parametrize("times", [1, 1000])
def test_a_page_that_the_disk_refuses_is_not_taken_for_lost(path, monkeypatch, times):
    """Another time it may be read, with its notes."""
    page_of_two(path, monkeypatch)
    for old in sorted((path / "root").iterdir())[1:]:
        old.unlink()
    with monkeypatch.context() as patch:
        refuse(patch, "catalog", times)
        with pytest.raises(StorageError, match="second time only" if times == 1 else "Input/output"):
            ckstore.repair(path, dry_run=False)
    assert ckstore.repair(path).ok
    with ckstore.open(path) as store:
        assert store.checkpoint("t0").metrics == {"loss": 0.0}


def test_a_checkpoint_is_not_given_up_for_a_read_that_was_refused(path, monkeypatch):
    """It is to be listed again, and one of its packs cannot be read just now."""
    flip_newest_root(path)
    with monkeypatch.context() as patch:
        refuse(patch, "pack", 1000)
        with pytest.raises(StorageError, match="Input/output"):
            ckstore.repair(path, dry_run=False)
    store, losses = repaired(path)
    with store:
        assert losses == []
        assert keys(store) == [("main", step) for step in range(3)]
