"""A damaged segment costs deduplication and nothing else: gc drops it, saves go on, nothing that is live goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ckstore
from ckstore.format.names import CLOSURE, PACK, SEGMENT
from ckstore.format.records import Condemned
from ckstore.store.writer import replace_root
from tests.support.states import assert_same, assert_whole_and_tidy, keys, state_of, strays
from tests.support.stores import before_commit, open_store, save

__all__ = ["open_store"]

HOW = {"head": -40, "page": 60}
"""Where the byte lies that is changed."""


def damage(store: ckstore.Store, number: int, how: str) -> str:
    """Spoil the segment of the `number`-th save; its name."""
    name = store._session.repo.root().segments[number].name
    path = Path(store.path, "segment", name)
    if how == "missing":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[HOW[how]] ^= 1
        path.write_bytes(data)
    return name


@pytest.fixture
def store(open_store):
    """Three checkpoints of one run, and one of another that was deleted."""
    opened = open_store()
    opened.save({"x": np.random.default_rng(9).normal(size=3000).astype("f4")}, run="other", step=0)
    for step in range(3):
        save(opened, "main", step)
    opened.delete("other@0")
    return opened


@pytest.mark.parametrize("how", ["head", "page", "missing"])
def test_a_gc_drops_a_damaged_segment_and_goes_on(store, open_store, how):
    name = damage(store, 0, how)
    report = open_store().gc(grace_s=0)
    assert report.dropped_segments == (how != "page")  # its only pack is dead: the page is not even read
    assert report.freed_bytes > 0
    assert name not in {ref.name for ref in store._session.repo.root().segments}
    assert strays(open_store()) == set()
    assert_whole_and_tidy(open_store())
    assert keys(store) == [("main", 0), ("main", 1), ("main", 2)]


@pytest.mark.parametrize("how", ["head", "missing"])
def test_a_gc_drops_the_damaged_segment_of_a_live_checkpoint_and_keeps_its_packs(store, open_store, how):
    damage(store, 2, how)
    report = open_store().gc(grace_s=0)
    assert (report.dropped_segments, report.waiting_writers) == (1, 0)
    assert_whole_and_tidy(open_store())


@pytest.mark.parametrize("number", range(4))
def test_a_save_goes_on_from_packs_that_only_a_dropped_segment_named(store, open_store, number):
    damage(store, number, "head")
    assert open_store().gc(grace_s=0).dropped_segments == 1
    saver = open_store()
    save(saver, "main", 3)
    assert saver.checkpoint("main@3").parent == saver.checkpoint("main@2").id
    assert max(leaf.max_chain for leaf in saver.leaves("main@3")) > 1
    assert_whole_and_tidy(saver)


@pytest.mark.parametrize("how", ["head", "page", "missing"])
@pytest.mark.parametrize("number", range(4))
def test_a_save_before_any_gc_is_not_stopped_by_a_damaged_segment(store, open_store, number, how):
    damage(store, number, how)
    saver = open_store()
    save(saver, "main", 3)
    assert_same(open_store().load("main@3"), state_of("main", 3))


def test_many_saves_go_on_beside_a_damaged_segment(store, open_store):
    """Levels fill up and are merged around it."""
    damage(store, 1, "head")
    saver = open_store()
    for step in range(3, 20):
        save(saver, "main", step)
    assert len(saver._session.repo.root().segments) <= 9
    saver.delete("main@0")
    assert saver.gc(grace_s=0).dropped_segments == 1
    assert_whole_and_tidy(open_store())


def test_a_gc_that_drops_a_segment_under_a_saver_loses_none_of_what_the_saver_found_there(store, open_store):
    """Between its begin and its commit the only list of the packs it relies on is damaged and dropped."""
    saver, found = open_store(), state_of("main", 1)["model"]["weight"]
    saver._session.repo.segments.live_packs(saver._session.repo.root())

    def drop() -> None:
        damage(store, 2, "head")
        assert open_store().gc(grace_s=0).dropped_segments == 1

    before_commit(saver, drop)
    saver.save({"again": found}, run="again", step=0)
    assert_same(open_store().load("again@0"), {"again": found})
    assert open_store().verify("data").ok


def test_a_pack_that_no_segment_and_no_checkpoint_names_is_not_live_for_a_commit(store, open_store):
    """Its checkpoint was deleted and its segment dropped; only a gc may still look at it."""
    repo = store._session.repo
    (pack,) = [item.name for item in repo.objects.segment(repo.root().segments[0]).packs]
    with repo.writer() as writer:
        writer.commit(lambda root: replace_root(root, segments=root.segments[1:]), {})
    with open_store()._session.repo.writer() as writer, pytest.raises(ckstore.WriterExpired):
        writer.commit(lambda root: replace_root(root, extra={"x": 1}), {(PACK, pack): []})


def test_a_checkpoint_makes_no_pack_live_that_is_being_deleted(store, open_store):
    repo = store._session.repo
    entry = repo.root().inline[-1]
    pack = repo.objects.closure(entry.closure).packs[0].name
    with repo.writer() as writer:
        writer.commit(lambda root: replace_root(root, segments=[], deleting=[Condemned(PACK, pack, 1)]), {})
    with open_store()._session.repo.writer() as writer, pytest.raises(ckstore.WriterExpired):
        writer.commit(lambda root: replace_root(root, extra={"x": 1}), {(PACK, pack): []})


def test_a_damaged_segment_is_condemned_like_any_object_that_nothing_needs(store, open_store):
    name = damage(store, 0, "head")
    with open_store()._session.repo.writer():  # holds the gc up after its first step
        assert open_store().gc(grace_s=0).waiting_writers == 1
        condemned = {(item.kind, item.name) for item in store._session.repo.root().condemned}
    assert (SEGMENT, name) in condemned
    assert not {kind for kind, _ in condemned} - {PACK, SEGMENT, CLOSURE, 3}


def test_new_chunks_are_found_by_later_saves_after_a_drop(store, open_store):
    damage(store, 2, "head")
    open_store().gc(grace_s=0)
    saver = open_store()
    fresh = {"fresh": np.random.default_rng(5).normal(size=3000).astype("f4")}
    saver.save(fresh, run="a", step=0)
    packs = set(Path(saver.path, "pack").iterdir())
    saver.save(fresh, run="b", step=0, parent=None)
    assert set(Path(saver.path, "pack").iterdir()) == packs
