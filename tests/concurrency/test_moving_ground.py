"""Verify and repair beside retention and gc: what these removed meanwhile is no damage, and what is damaged is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ckstore
from ckstore.engine.health import plan as planning
from ckstore.engine.health import survey, verify_chunks, verify_packs
from ckstore.format import closure
from ckstore.store import packs
from tests.support.states import keys
from tests.support.stores import Open, once, save

LEVELS = ["structure", "stored", "data"]


@pytest.fixture
def store(open_store: Open) -> ckstore.Store:
    """Nine checkpoints that share nothing."""
    opened = open_store()
    for step in range(9):
        noise = np.random.default_rng(step).normal(size=2048)
        opened.save({"noise": noise, "bias": np.full(7, step)}, step=step, parent=None)
    return opened


def drop_oldest(store: ckstore.Store, expire: bool = False) -> None:
    """As retention does it, and a gc."""
    store.delete(store.checkpoints()[0])
    assert store.gc(grace_s=0, expire_writers=expire).freed_bytes > 0


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)


def pack_of(store: ckstore.Store, ref: str) -> Path:
    """The pack that this checkpoint alone needs most of."""
    uses = store._session.repo.objects.closure(store._resolve(ref).closure).packs
    return Path(store.path, "pack", max(uses, key=lambda use: use.used_bytes).name)


def at_every_look(monkeypatch: pytest.MonkeyPatch, act: object) -> list[int]:
    """Do `act` whenever a survey has read the catalog and nothing else; one item for each time."""
    look, looks = survey._look_at_catalog, []

    def late(*args):
        look(*args)
        looks.append(1)
        act()

    monkeypatch.setattr(survey, "_look_at_catalog", late)
    return looks


@pytest.mark.parametrize("level", LEVELS)
def test_a_verify_beside_retention_finds_a_whole_store_whole(store, open_store, monkeypatch, level):
    """However long it takes: at every look the oldest checkpoint goes."""
    looks = at_every_look(monkeypatch, lambda: drop_oldest(store))
    report = open_store().verify(level)
    assert report.ok, report.damages
    assert len(looks) == survey.LOOKS
    assert len(keys(store)) == 9 - survey.LOOKS


@pytest.mark.parametrize("moment", ["check", "_check_run"])
def test_a_pack_that_a_gc_removes_while_packs_are_read_is_no_damage(store, open_store, moment):
    once(verify_packs, moment, lambda: drop_oldest(store))
    report = open_store().verify()
    assert report.ok, report.damages
    assert len(keys(store)) == 8


def test_a_pack_that_vanishes_while_packs_are_read_is_damage_and_no_error(store, open_store):
    lost = pack_of(store, "main@5")
    once(verify_packs, "check", lost.unlink)
    damages = open_store().verify().damages
    assert {damage.object.split(",")[0] for damage in damages} == {f"pack {lost.name}"}
    assert {ref for damage in damages for ref in damage.checkpoints} == {"main@5"}


def test_what_is_damaged_is_told_and_what_was_removed_is_not(store, open_store, monkeypatch):
    spoilt = pack_of(store, "main@5")
    flip(spoilt)
    looks = at_every_look(monkeypatch, lambda: len(keys(store)) > 7 and drop_oldest(store))
    (damage,) = open_store().verify("data").damages
    assert damage.object.startswith(f"pack {spoilt.name}, frame at ")
    assert damage.checkpoints == ["main@5"]
    assert damage.tensors["main@5"]
    assert len(looks) <= survey.LOOKS


def test_what_a_deleted_checkpoint_lacks_is_no_damage_to_its_closure(open_store, monkeypatch):
    """That one stays, for another shares pages with it; where it shared some itself, they are gone."""
    monkeypatch.setattr(closure, "ROWS_PER_PAGE", 2)
    noise = np.random.default_rng(0).normal(size=(3, 256))
    store = open_store()
    store.save({"x": noise[0].repeat(8)}, run="alone", step=0, parent=None)
    store.save({"p": noise[1].repeat(8)}, step=0)
    store.save({"p": noise[1].repeat(8), "q": noise[2].repeat(8)}, step=1)
    middle = store._resolve("main@1").closure.name
    store.save({"q": noise[2].repeat(8)}, step=2)
    acts = iter([["alone@0"], ["main@0", "main@1"]])

    def drop() -> None:
        gone = next(acts, [])
        for ref in gone:
            store.delete(ref)
        if gone:
            store.gc(grace_s=0, max_repack_bytes=0)

    looks = at_every_look(monkeypatch, drop)
    report = open_store().verify()
    assert report.ok, report.damages
    assert len(looks) == 3
    assert Path(store.path, "closure", middle).exists()


def test_a_frame_whose_base_a_gc_removed_is_not_damaged(open_store, monkeypatch):
    """Its checkpoint has gone too, and its pack stays for another."""
    monkeypatch.setattr(packs, "MAX_OPEN_FILES", 0)
    store, rng = open_store(), np.random.default_rng(0)
    x, y = rng.normal(size=2048).astype("f4"), rng.normal(size=2048)
    store.save({"x": x}, step=0)
    store.save({"x": x * np.float32(1 + 1e-4), "y": y}, step=1)
    store.save({"y": y}, run="other", step=0, parent=None)
    decode, decoded = verify_chunks._decode, []

    def late(*args):
        decoded.append(1)
        if len(decoded) == 2:
            for step in range(2):
                store.delete(f"main@{step}")
            assert store.gc(grace_s=0, max_repack_bytes=0).freed_bytes > x.nbytes / 2
        return decode(*args)

    monkeypatch.setattr(verify_chunks, "_decode", late)
    report = open_store().verify("data")
    assert report.ok, report.damages
    assert len(decoded) == 3


@pytest.mark.parametrize("level", ["stored", "data"])
def test_what_got_other_objects_meanwhile_is_looked_at_with_these(store, open_store, level):
    """Nobody saw what its old closure listed: the damage to a pack that only it needs would be overlooked."""
    spoilt = pack_of(store, "main@5")
    flip(spoilt)
    reader = open_store()

    def thin() -> None:
        store.thin("main@5", drop="bias")
        store.gc(grace_s=0)

    once(survey, "_look_at_segments", thin)
    damages = reader.verify(level).damages
    assert [damage.checkpoints for damage in damages] == [["main@5"]]
    assert damages[0].object.startswith(f"pack {spoilt.name}, frame at ")


def test_a_repair_that_was_given_up_while_it_looked_says_nothing_of_what_it_saw(store):
    """It had nothing to write, and so nobody told it that a gc had taken it for dead."""
    once(survey, "_look_at_entry", lambda: drop_oldest(store, expire=True))
    report = ckstore.repair(store.path, dry_run=False)
    assert report.ok, report
    assert len(keys(store)) == 8


def test_a_look_of_repair_beside_retention_finds_a_whole_store_whole(store, monkeypatch):
    looks = at_every_look(monkeypatch, lambda: len(keys(store)) > 6 and drop_oldest(store))
    report = ckstore.repair(store.path)
    assert report.ok, report
    assert (len(looks), report.root_number) == (4, store._session.repo.root().number)


def test_a_look_of_repair_to_which_nobody_leaves_the_time_tells_nothing(store, monkeypatch):
    monkeypatch.setattr(survey, "LOOKS", 1)
    at_every_look(monkeypatch, lambda: drop_oldest(store))
    with pytest.raises(ckstore.WriterExpired, match="at every look"):
        ckstore.repair(store.path)


def test_a_look_of_repair_tells_of_no_checkpoint_that_was_deleted_meanwhile(store):
    """Its manifest is damaged, and it goes when all is read already."""
    flip(Path(store.path, "manifest", store._resolve("main@3").manifest.name))
    assert [loss.ref for loss in ckstore.repair(store.path).losses] == ["main@3"]
    once(planning, "_list_packs", lambda: store.delete("main@3"))
    assert ckstore.repair(store.path).losses == []


def test_a_look_of_repair_begins_again_where_a_gc_removed_what_it_was_reading(store, monkeypatch):
    list_packs = planning._list_packs

    def late(repo, plan):
        monkeypatch.setattr(planning, "_list_packs", list_packs)
        for _ in range(6):
            drop_oldest(store)
        repo.objects._heads.clear()  # as in a store of very many objects
        list_packs(repo, plan)

    monkeypatch.setattr(planning, "_list_packs", late)
    report = ckstore.repair(store.path)
    assert report.ok, report
    assert report.root_number == store._session.repo.root().number


def test_a_save_beside_a_verify_makes_it_look_no_longer(store, open_store, monkeypatch):
    looks = at_every_look(monkeypatch, lambda: save(store, "other", 0))
    assert open_store().verify("stored").ok
    assert len(looks) == 1


def test_where_nobody_can_tell_what_is_needed_all_damage_counts(open_store, monkeypatch) -> None:
    """A closure is damaged, and somebody saves while verify looks: what the new root needs cannot be told from it."""
    store, other = open_store(), open_store()
    for step in range(3):
        save(store, "main", step)
    damaged = Path(store.path, "closure", store._resolve("main@1").closure.name)
    damaged.write_bytes(damaged.read_bytes()[:50])
    once(survey, "_look_at_catalog", lambda: save(other, "other", 0))
    with ckstore.open(store.path, readonly=True) as reader:
        assert [damage.object for damage in reader.verify().damages] == [f"closure {damaged.name}"]


def test_a_frame_of_a_newer_version_is_no_damage(open_store, monkeypatch) -> None:
    store = open_store()
    save(store, "main", 0)

    def newer(*_: object) -> None:
        raise ckstore.UnsupportedError("unknown codec 99: written by a newer ckstore")

    monkeypatch.setattr(verify_chunks.Decoder, "chunk", newer)
    with pytest.raises(ckstore.UnsupportedError, match="newer ckstore"):
        store.verify("data")
