"""Repair beside savers, gcs and other repairs: it undoes nothing of theirs, and names nothing that may be gone soon."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

import ckstore
from ckstore.engine import catalog
from ckstore.engine.gc import collector
from ckstore.engine.health import plan as planning
from ckstore.engine.health import rewrite
from tests.corrupt.mended import flat, flip, flip_newest_root, no_syncs, path, repaired
from tests.support.paths import fast_path
from tests.support.states import assert_same, assert_whole_and_tidy, keys, state_of
from tests.support.stores import before_commit, once, save

__all__ = ["fast_path", "no_syncs", "path"]


def test_a_save_that_never_finished_is_not_listed(path):
    with ckstore.open(path) as store:
        store._session.repo.roots.publish = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        once(store._session.repo.fs, "remove", lambda: None)
        with pytest.raises(KeyboardInterrupt):
            save(store, "main", 3)
    report = ckstore.repair(path, dry_run=False)
    assert report.ok
    with ckstore.open(path) as store:
        assert keys(store) == [("main", step) for step in range(3)]


def test_a_save_under_way_is_not_listed_by_the_repair_but_by_itself(path):
    """It has written its manifest when the newest root is damaged and repaired."""
    with ckstore.open(path) as saver:

        def meanwhile() -> None:
            flip_newest_root(path)
            report = ckstore.repair(path, dry_run=False)
            assert [remedy.object for remedy in report.remedies if "main@3" in remedy.object] == []

        before_commit(saver, meanwhile)
        save(saver, "main", 3)
    with ckstore.open(path) as store:
        assert keys(store) == [("main", step) for step in range(4)]
        assert_whole_and_tidy(store)


def test_a_repair_past_a_damaged_root_shuts_out_who_began_before(path):
    with ckstore.open(path) as store:
        with store._session.repo.writer() as writer:
            number = flip_newest_root(path)
            ckstore.repair(path, dry_run=False)
            with pytest.raises(ckstore.WriterExpired):
                writer.commit(lambda root: replace(root, compatible=["x"]), {})
        root = store._session.repo.root()
    assert (root.number, root.floor) == (number + 1, number + 1)


def test_a_saver_that_commits_during_a_repair_is_kept(path, monkeypatch):
    flip(min((path / "closure").iterdir()))
    apply = rewrite.apply

    def late(repo, writer, plan):
        monkeypatch.setattr(rewrite, "apply", apply)
        with ckstore.open(path) as store:
            save(store, "other", 1)
            store.tag("main@0", "mine")
        return apply(repo, writer, plan)

    monkeypatch.setattr(rewrite, "apply", late)
    store, losses = repaired(path)
    with store:
        assert losses == []
        assert keys(store) == [("main", 0), ("main", 1), ("main", 2), ("other", 1)]
        assert store.checkpoint("mine").ref == "main@0"
        assert_whole_and_tidy(store)


def test_two_repairs_at_once_end_as_one(path):
    flip_newest_root(path)
    once(rewrite, "apply", lambda: ckstore.repair(path, dry_run=False))
    store, losses = repaired(path)
    with store:
        assert losses == []
        assert keys(store) == [("main", step) for step in range(3)]
        assert_whole_and_tidy(store)


def test_a_condemned_pack_is_read_and_never_named(path):
    """It holds the only other copy of a damaged chunk; a gc may delete it at any moment."""
    with ckstore.open(path) as store:
        with pytest.MonkeyPatch.context() as blind:
            blind.setattr(store._session.repo.segments, "find", lambda *_: iter(()))
            store.save(state_of("main", 0), run="copy", step=0, parent=None)
        entry = store._resolve("copy@0")
        (use,) = store._session.repo.objects.closure(entry.closure).packs
        store.delete("copy@0")
        with store._session.repo.writer():
            assert store.gc(grace_s=0).waiting_writers == 1
        first = store._session.repo.objects.closure(store._resolve("main@0").closure).packs[0].name
    (path / "pack" / first).unlink()
    report = ckstore.repair(path, dry_run=False)
    assert report.losses == []
    assert report.copied_bytes > 0
    with ckstore.open(path) as store:
        repo = store._session.repo
        named = {
            pack.name for e in catalog.entries(repo, repo.root()) for pack in repo.objects.closure(e.closure).packs
        }
        assert use.name not in named
        assert collector.collect(store._session, collector.Waiting(0.0)).deleted_objects
        assert not (path / "pack" / use.name).exists()
        assert_whole_and_tidy(store)


def test_a_store_without_any_readable_root_cannot_be_repaired(path):
    for root in (path / "root").iterdir():
        flip(root)
    with pytest.raises(ckstore.CorruptError, match="root 4"):
        ckstore.repair(path)


def test_a_repair_through_an_open_store_sees_what_is_on_disk(path):
    with ckstore.open(path) as store:
        store.load()
        number = flip_newest_root(path)
        assert not store.repair().ok
        store.repair(dry_run=False)
        assert store._session.repo.root().number == number + 1
        assert_whole_and_tidy(store)
    with ckstore.open(path, readonly=True) as reader:
        assert reader.repair().ok
        with pytest.raises(ckstore.UsageError, match="readonly"):
            reader.repair(dry_run=False)


def test_a_saver_goes_on_after_a_repair(path):
    flip(min((path / "pack").iterdir()))
    store, _ = repaired(path)
    with store:
        save(store, "main", 3)
        assert_same(store.load("main@3"), state_of("main", 3))


def test_a_look_beside_a_gc_takes_nothing_for_damage_that_the_gc_removed(path, monkeypatch):
    with ckstore.open(path) as store:
        store.untag("t0")
    make = planning.make

    def beside(session, roots, root):
        monkeypatch.setattr(planning, "make", make)
        with ckstore.open(path) as store:
            store.delete("main@0")
            store.save(state_of("main", 3), run="main", step=3, parent=None)
            store.gc(grace_s=0)
        return make(session, roots, root)

    monkeypatch.setattr(planning, "make", beside)
    assert ckstore.repair(path).ok


def test_a_segment_that_a_gc_has_dropped_is_written_again(path):
    """As damaged segments are, and in need any that names a dead pack. Later saves find what only it listed."""
    with ckstore.open(path) as store:
        with store._session.repo.writer() as writer:
            writer.commit(lambda root: replace(root, segments=root.segments[1:]), {})
        n_listed = store.stats().n_chunks
    report = ckstore.repair(path, dry_run=False)
    assert [remedy.object for remedy in report.remedies] == ["segments"]
    with ckstore.open(path) as store:
        assert store.stats().n_chunks > n_listed
        assert_whole_and_tidy(store)


def test_a_manifest_and_a_pack_that_are_damaged_at_once(path):
    """What cannot be named is all of the checkpoint; the others are mended as ever."""
    flip(min((path / "manifest").iterdir()))
    pack = min((path / "pack").iterdir())
    pack.write_bytes(pack.read_bytes()[:-1])
    with ckstore.open(path) as store:
        damages = {damage.object: damage.tensors for damage in store.verify().damages}
        assert damages[f"manifest {min((path / 'manifest').iterdir()).name}"] == {"main@0": ["*"]}
    report = ckstore.repair(path, dry_run=False)
    assert [(loss.ref, loss.tensors) for loss in report.losses] == [("main@0", ["*"])]
    with ckstore.open(path) as store:
        for step in (1, 2):
            assert_same(store.load(f"main@{step}"), state_of("main", step))


def lossy(path: Path) -> tuple[str, list[str]]:
    """Damage a frame of which there is no other copy, and repair; a checkpoint that has lost something, and what."""
    pack = max((path / "pack").iterdir())
    data = bytearray(pack.read_bytes())
    data[200] ^= 1
    pack.write_bytes(data)
    (loss,) = ckstore.repair(path, dry_run=False).losses
    return loss.ref, loss.tensors


def test_what_is_lost_can_be_thinned_away(path):
    ref, lost = lossy(path)
    with ckstore.open(path) as store:
        with pytest.raises(ckstore.CorruptError, match="lacks a chunk of what would be left"):
            store.thin(ref, drop="bias")
        left = store.thin(ref, drop=lost)
        assert store.verify("data").ok
        whole = {name for name, _ in flat(state_of("main", left.step))}
        assert {name for name, _ in flat(store.load(left))} == whole - set(lost)
        store.gc(grace_s=0)
        assert store.verify("data").ok


def test_what_is_saved_again_is_found_by_the_next_repair(path):
    ref, _ = lossy(path)
    with ckstore.open(path) as store:
        step = store.checkpoint(ref).step
        store.save(state_of("main", step), run="again", step=0, parent=None)
        assert store.repair(dry_run=False).losses == []
        assert_same(store.load(ref), state_of("main", step))
        assert store.verify("data").ok


def test_damage_of_what_is_still_needed_is_told_at_once_though_others_go_on(path, monkeypatch):
    """Else a dry run beside a training that saves all the time would never end."""
    flip(next((path / "closure").iterdir()))
    looks, make = [], planning.make

    def meanwhile(*args):
        looks.append(args)
        with ckstore.open(path) as other:
            save(other, "other", len(looks))
        return make(*args)

    monkeypatch.setattr(planning, "make", meanwhile)
    report = ckstore.repair(path)
    assert len(looks) == 1
    assert len(report.remedies) + len(report.losses) > 0
