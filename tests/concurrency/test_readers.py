"""Readers hold nothing: what goes away under them is read from where it is now, or they are told that it is gone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

import ckstore
from ckstore.engine import batching, catalog, restore
from ckstore.engine.health import survey
from ckstore.engine.parent import load_closure
from ckstore.format import closure
from ckstore.format.names import CLOSURE
from ckstore.store import packs
from ckstore.store.objects import Objects
from ckstore.store.writer import replace_root
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


def into_zeros(open_store):
    """(a store that reads with one thread, a state of zeros to load into)."""
    reader = open_store()
    return reader, {name: np.zeros(4000) for name in "abc"}


@pytest.fixture
def three(other, monkeypatch):
    """The run `three`: three tensors, each in packs of its own."""
    monkeypatch.setenv("CKSTORE_THREADS", "1")
    monkeypatch.setattr(batching, "BATCH_BYTES", 1)
    monkeypatch.setattr(packs, "PACK_BYTES", 1)
    other.save({name: np.random.default_rng(ord(name)).normal(size=4000) for name in "abc"}, run="three")
    return other


def touched(state):
    return [name for name, value in state.items() if value.any()]


def after_reads(store, n, act):
    """Do `act` instead of the n-th read of a pack."""
    read, left = store._session.repo.packs.read, [n]

    def late(*where):
        left[0] -= 1
        if not left[0]:
            act()
        return read(*where)

    store._session.repo.packs.read = late


@pytest.mark.parametrize("error", [ckstore.StorageError("no", 5), KeyboardInterrupt(), MemoryError()], ids=repr)
def test_whatever_interrupts_a_load_in_place_it_says_what_is_overwritten(three, open_store, error):
    reader, into = into_zeros(open_store)
    after_reads(reader, 7, lambda: (_ for _ in ()).throw(error))
    with pytest.raises(type(error)) as caught:
        reader.load("three@latest", into=into)
    assert 0 < len(touched(into)) < 3
    assert set(caught.value.overwritten) >= set(touched(into))


def test_a_checkpoint_deleted_while_it_is_loaded_in_place_says_what_is_overwritten(three, open_store):
    reader, into = into_zeros(open_store)
    after_reads(reader, 7, lambda: (reader._session.repo.packs.close_idle(), drop(three, "three@latest")))
    with pytest.raises(ckstore.CheckpointDeleted) as caught:
        reader.load("three@latest", into=into)
    assert 0 < len(touched(into)) < 3
    assert set(caught.value.overwritten) >= set(touched(into))


def test_a_damaged_list_says_that_nothing_is_overwritten(three, open_store):
    for path in Path(three.path, "closure").iterdir():
        path.write_bytes(b"")
    reader, into = into_zeros(open_store)
    with pytest.raises(ckstore.CorruptError) as caught:
        reader.load("three@latest", into=into)
    assert caught.value.overwritten == touched(into) == []


def test_a_closure_replaced_between_the_resolving_and_the_reading_is_found(other, open_store):
    """As a gc that moves frames will replace it: the root is newer than the entry before the first look at anything."""
    reader = open_store()
    stale = reader._resolve("main@1")
    repo = other._session.repo
    with repo.writer() as writer:
        rows, _ = load_closure(repo, stale)
        head, pages = repo.objects.closure(stale.closure), closure.to_pages(rows)
        n_rows = [len(page.chunk_ids) // 32 for page in pages]
        new, _ = writer.put_paged(
            CLOSURE, pages, n_rows, {}, lambda refs: msgspec.structs.replace(head, holders=[], pages=refs)
        )
        moved = msgspec.structs.replace(stale, closure=new)
        inline = [moved if entry.id == stale.id else entry for entry in repo.root().inline]
        writer.commit(lambda root: replace_root(root, inline=inline), {})
    Path(other.path, "closure", stale.closure.name).unlink()
    found = restore.reading(reader._session, stale, lambda entry: load_closure(reader._session.repo, entry)[0])
    assert found == rows


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
    looks, look = [], survey._look

    def look_while_others_save(*args):
        looks.append(args)
        assert len(looks) < 9, "it never ends"
        look(*args)
        other.annotate("main@1", meta={"looks": len(looks)})

    monkeypatch.setattr(survey, "_look", look_while_others_save)
    assert not open_store().verify("stored").ok


@pytest.mark.parametrize("verb", ["stats", "usage", "gc"])
def test_reports_are_made_although_a_gc_is_at_work(many, open_store, verb):
    save(many, "other", 0)
    reader = open_store()
    once(reader._session.repo.objects, "catalog", lambda: (drop(many, "main@0"), drop(many, "other@0")))
    getattr(reader, verb)(**({"dry_run": True} if verb == "gc" else {}))
