"""Savers beside garbage collections: what they need comes back, or they begin again; never a dangling checkpoint."""

from __future__ import annotations

import pytest

import ckstore
from ckstore.engine import save as save_module
from ckstore.format import closure, manifest
from ckstore.store import leases, segments
from tests.support.door import Door
from tests.support.states import assert_same, assert_whole_and_tidy, keys, state_of
from tests.support.stores import after_begin, before_commit, condemn, once, save


@pytest.fixture
def attempts(monkeypatch):
    """One item for every time that a save began."""
    made: list[None] = []
    attempt = save_module._attempt
    monkeypatch.setattr(save_module, "_attempt", lambda *args: (made.append(None), attempt(*args))[1])
    return made


def drop(store: ckstore.Store, ref: str, **how: bool) -> None:
    store.delete(ref)
    store.gc(grace_s=0, **how)


def test_what_a_saver_needs_of_its_parent_comes_back_when_a_gc_condemned_it(open_store, attempts):
    saver, other = open_store(), open_store()
    save(saver, "main", 0)
    before_commit(saver, lambda: drop(other, "main@0"))
    save(saver, "main", 1)
    assert len(attempts) == 2
    assert keys(other) == [("main", 1)]
    assert_whole_and_tidy(other)


def test_what_a_saver_found_in_another_run_comes_back_when_a_gc_condemned_it(open_store):
    saver, other = open_store(), open_store()
    save(other, "donor", 0)
    state = {"copied": state_of("donor", 0)["model"]["weight"]}
    before_commit(saver, lambda: drop(other, "donor@0"))
    assert saver.save(state, run="main", step=0).stored_bytes < state["copied"].nbytes / 2
    other.gc(grace_s=0)
    assert_same(open_store().load("main@0"), state)
    assert other.verify("data").ok


def test_pages_that_a_saver_shares_with_its_parent_come_back(open_store, monkeypatch):
    monkeypatch.setattr(manifest, "ROWS_PER_PAGE", 1)
    monkeypatch.setattr(closure, "ROWS_PER_PAGE", 1)
    saver, other = open_store(), open_store()
    save(saver, "main", 0)
    before_commit(saver, lambda: drop(other, "main@0"))
    save(saver, "main", 1)
    other.gc(grace_s=0)
    assert_same(open_store().load("main@1"), state_of("main", 1))
    assert_whole_and_tidy(open_store())


def test_a_rescued_chunk_can_be_found_again_by_a_later_save(open_store):
    saver, other = open_store(), open_store()
    save(saver, "main", 0)
    before_commit(saver, lambda: drop(other, "main@0"))
    save(saver, "main", 1)
    other.gc(grace_s=0)
    shared = {"shared": state_of("main", 0)["shared"]}
    assert open_store().save(shared, run="later", step=0).stored_bytes < shared["shared"].nbytes / 2


def test_a_saver_given_up_by_a_gc_begins_again_by_itself(open_store, attempts):
    saver, other = open_store(), open_store()
    save(saver, "main", 0)
    save(saver, "main", 1)
    before_commit(saver, lambda: drop(other, "main@0", expire_writers=True))
    save(saver, "main", 2)
    assert len(attempts) == 4
    assert keys(other) == [("main", 1), ("main", 2)]
    assert_whole_and_tidy(other)


def test_a_saver_whose_parent_is_gone_before_it_could_read_it_begins_again(open_store):
    save(open_store(), "main", 0)
    saver, other = open_store(), open_store()
    after_begin(saver, lambda: drop(other, "main@0", expire_writers=True))
    save(saver, "main", 1)
    assert keys(other) == [("main", 1)]
    assert_whole_and_tidy(other)


def test_a_saver_whose_segments_are_gone_before_it_could_read_them_begins_again(open_store):
    save(open_store(), "donor", 0)
    saver, other = open_store(), open_store()
    after_begin(saver, lambda: drop(other, "donor@0", expire_writers=True))
    save(saver, "main", 0)
    assert_whole_and_tidy(other)


def test_a_writer_that_is_given_up_publishes_nothing(open_store):
    saver, other = open_store(), open_store()
    save(saver, "main", 0)
    with saver._session.repo.writer() as writer:
        drop(other, "main@0", expire_writers=True)
        number = other.stats().root_number
        with pytest.raises(ckstore.WriterExpired):
            writer.commit(lambda root: ckstore.store.writer.replace_root(root, extra={"mine": 1}), {})
    assert other.stats().root_number == number


def test_a_tag_or_a_deletion_that_was_given_up_is_tried_again(open_store):
    hand, other = open_store(), open_store()
    for step in range(3):
        save(hand, "main", step)
    before_commit(hand, lambda: drop(other, "main@0", expire_writers=True))
    hand.tag("main@2", "best")
    assert other.checkpoint("best").step == 2
    save(hand, "main", 3)
    before_commit(hand, lambda: drop(other, "main@1", expire_writers=True))
    hand.delete("main@3")
    assert keys(other) == [("main", 2)]


def test_a_saver_taken_for_dead_takes_back_what_it_had_just_written(open_store, nobody_lives, attempts):
    saver, other = open_store(), open_store()
    before_commit(saver, lambda: condemn(other))
    save(saver, "main", 0)
    assert len(attempts) == 1
    assert keys(other) == [("main", 0)]
    assert other._session.repo.root().condemned == []
    assert_whole_and_tidy(other)


def test_a_saver_taken_for_dead_whose_new_files_are_gone_begins_again(open_store, nobody_lives):
    saver, other = open_store(), open_store()
    before_commit(saver, lambda: other.gc(grace_s=0))
    save(saver, "main", 0)
    assert keys(other) == [("main", 0)]
    assert_whole_and_tidy(other)


def test_a_saver_taken_for_dead_whose_root_is_gone_before_its_link_begins_again(open_store, nobody_lives):
    saver, other = open_store(), open_store()
    once(saver._session.repo.fs, "link", lambda: other.gc(grace_s=0))
    save(saver, "main", 0)
    assert keys(other) == [("main", 0)]
    assert_whole_and_tidy(other)


def test_a_lease_that_a_gc_swept_away_before_anyone_could_see_it_is_made_again(open_store, monkeypatch):
    saver, other = open_store(), open_store()
    door = Door()
    monkeypatch.setattr(leases, "os", door)
    once(door, "rename", lambda: other.gc(grace_s=0))
    save(saver, "main", 0)
    assert_whole_and_tidy(other)


def test_two_savers_of_the_same_chunks_leave_both_packs_named_after_segments_merge(open_store, monkeypatch):
    monkeypatch.setattr(segments, "MERGE_FACTOR", 2)
    first, second = open_store(), open_store()
    state = {"same": state_of("main", 0)["model"]["weight"]}
    before_commit(first, lambda: second.save(state, run="b", step=0))
    first.save(state, run="a", step=0)
    for step in range(1, 4):
        for store, run in ((first, "a"), (second, "b")):
            store.save({**state, "new": state_of(run, step)["model"]["weight"]}, run=run, step=step)
    assert len(first.checkpoints()) == 8
    for ck in first.checkpoints():
        assert_same(open_store().load(ck)["same"], state["same"])
    assert first.verify("data").ok
