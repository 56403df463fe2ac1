"""Readers hold nothing: what goes away under them is read from where it is now, or they are told that it is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

import ckstore
from ckstore.engine import catalog, verify
from ckstore.store.objects import Objects
from tests.support.states import assert_same, keys, state_of
from tests.support.stores import once, save


def drop(store: ckstore.Store, ref: str) -> None:
    store.delete(ref)
    store.gc(grace_s=0)


@pytest.fixture
def other(open_store):
    store = open_store()
    for step in range(3):
        save(store, "main", step)
    return store


@pytest.mark.parametrize("moment", ["manifest", "closure", "page"])
def test_a_checkpoint_deleted_while_it_is_read_is_reported_as_deleted(other, open_store, moment):
    reader = open_store()
    once(reader._session.repo.objects, moment, lambda: drop(other, "main@1"))
    with pytest.raises(ckstore.CheckpointDeleted):
        reader.load("main@1")


def test_packs_that_go_while_they_are_read_are_reported_as_deleted(other, open_store):
    save(other, "alone", 0)
    reader = open_store()
    once(reader._session.repo.packs, "_open_pack", lambda: drop(other, "alone@0"))
    with pytest.raises(ckstore.CheckpointDeleted):
        reader.load("alone@0")


def test_a_checkpoint_that_stays_is_read_while_its_neighbours_go(other, open_store):
    reader = open_store()
    once(reader._session.repo.packs, "_open_pack", lambda: (drop(other, "main@0"), drop(other, "main@1")))
    assert_same(reader.load("main@2"), state_of("main", 2))


def test_a_pack_that_is_really_missing_is_damage_not_deletion(other, open_store):
    for pack in Path(other.path, "pack").iterdir():
        pack.unlink()
    with pytest.raises(ckstore.MissingObjectError):
        open_store().load("main@2")


@pytest.mark.parametrize("kind", ["manifest", "closure", "pack", "segment"])
def test_verify_reports_what_is_really_missing_and_does_not_raise(other, open_store, kind):
    for file in Path(other.path, kind).iterdir():
        file.unlink()
    report = open_store().verify("data")
    assert {damage.object.split()[0] for damage in report.damages} == {kind}


@pytest.fixture
def many(open_store, monkeypatch):
    """A store whose older checkpoints lie in catalog pages."""
    monkeypatch.setattr(catalog, "INLINE_ENTRIES", 4)
    store = open_store()
    for step in range(12):
        store.save({"x": step}, step=step)
    return store


def test_a_listing_during_which_a_catalog_page_is_replaced_is_made_again(many, open_store):
    reader = open_store()
    once(reader._session.repo.objects, "catalog", lambda: drop(many, "main@0"))
    assert keys(reader) == [("main", step) for step in range(1, 12)]


def test_a_reference_is_resolved_although_a_catalog_page_is_replaced_meanwhile(many, open_store):
    reader = open_store()
    once(reader._session.repo.objects, "catalog", lambda: drop(many, "main@0"))
    assert reader.load("main@1") == {"x": 1}


@pytest.mark.parametrize("moment", ["catalog", "manifest", "closure", "segment"])
def test_verify_reports_no_damage_where_a_gc_was_at_work_meanwhile(many, open_store, moment):
    save(many, "other", 0)
    gone = []
    with pytest.MonkeyPatch.context() as patch:  # verify opens the store afresh
        look = getattr(Objects, moment)

        def look_late(self, *args):
            if not gone:
                gone.append(moment)
                patch.undo()
                drop(many, "main@0")
                drop(many, "other@0")
            return look(self, *args)

        patch.setattr(Objects, moment, look_late)
        report = open_store().verify("data")
    assert gone
    assert report.ok, report.damages


def test_verify_of_a_damaged_store_comes_to_an_end_while_others_save(other, open_store, monkeypatch):
    for file in Path(other.path, "segment").iterdir():
        file.unlink()
    looks, look = [], verify._look

    def look_while_others_save(*args):
        looks.append(args)
        assert len(looks) < 9, "it never ends"
        try:
            return look(*args)
        finally:
            other.annotate("main@1", meta={"looks": len(looks)})

    monkeypatch.setattr(verify, "_look", look_while_others_save)
    assert not open_store().verify("stored").ok


@pytest.mark.parametrize("verb", ["stats", "usage", "gc"])
def test_reports_are_made_although_a_gc_is_at_work(many, open_store, verb):
    save(many, "other", 0)
    reader = open_store()
    once(reader._session.repo.objects, "catalog", lambda: (drop(many, "main@0"), drop(many, "other@0")))
    getattr(reader, verb)(**({"dry_run": True} if verb == "gc" else {}))
