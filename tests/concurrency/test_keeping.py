"""keep() and thin() beside others: what was changed at the last moment counts, and nobody's work vanishes."""

from __future__ import annotations

import numpy as np
import pytest

import ckstore
from ckstore import Keep
from ckstore.format import manifest
from ckstore.format.names import MANIFEST
from tests.support.states import assert_same, assert_whole_and_tidy, keys, state_of
from tests.support.stores import after_begin, before_commit, once, save

GONE = ["shared", "sometimes", "bias"]
"""What is dropped in these tests."""


@pytest.fixture
def store(open_store):
    opened = open_store()
    for step in range(4):
        save(opened, "main", step, metrics={"loss": 10.0 - step})
    return opened


@pytest.fixture
def other(open_store):
    return open_store()


def test_what_was_tagged_at_the_last_moment_stays(store, other):
    before_commit(store, lambda: other.tag("main@1", "mine"))
    report = store.keep(Keep(last=1))
    assert keys(store) == [("main", 1), ("main", 3)]
    assert [one.action for one in report.checkpoints] == ["deleted", "kept", "deleted", "kept"]
    assert_whole_and_tidy(store)


def test_what_became_the_best_at_the_last_moment_stays(store, other):
    before_commit(store, lambda: other.annotate("main@0", metrics={"loss": 0.0}))
    store.keep(Keep(best=[("loss", "min", 1)]))
    assert keys(store) == [("main", 0), ("main", 3)]


def test_what_became_the_newest_at_the_last_moment_stays(store, other):
    before_commit(store, lambda: [other.delete("main@3"), other.delete("main@2")])
    store.keep(Keep(last=1))
    assert keys(store) == [("main", 1)]
    assert_whole_and_tidy(store)


def test_what_was_saved_at_the_last_moment_is_the_newest(store, other):
    before_commit(store, lambda: save(other, "main", 9))
    store.keep(Keep(last=2))
    assert keys(store) == [("main", 3), ("main", 9)]
    assert_whole_and_tidy(store)


def test_what_a_person_agreed_to_is_done_or_nothing_is(store, other):
    agreed = store.keep(Keep(last=2), dry_run=True)
    save(other, "main", 4)
    with pytest.raises(ckstore.ConflictError, match="look at a new dry run"):
        store.keep(Keep(last=2), agreed=agreed)
    assert [step for _, step in keys(store)] == [0, 1, 2, 3, 4]
    agreed = store.keep(Keep(last=2), dry_run=True)
    before_commit(store, lambda: other.tag("main@0", "mine"))
    with pytest.raises(ckstore.ConflictError):
        store.keep(Keep(last=2), agreed=agreed)
    assert [step for _, step in keys(store)] == [0, 1, 2, 3, 4]
    assert_whole_and_tidy(store)


@pytest.mark.parametrize(
    ("when", "act", "whole"),
    [
        (before_commit, lambda other: other.tag("main@1", "mine"), {1, 3}),
        (before_commit, lambda other: other.delete("main@3"), {2}),
        (before_commit, lambda other: other.delete("main@0"), {3}),
        (before_commit, lambda other: save(other, "main", 4), {3, 4}),  # what it would take of 3 is not written yet
        (after_begin, lambda other: save(other, "main", 4), {4}),
    ],
    ids=["tagged", "newest deleted", "deleted", "saved", "saved before"],
)
def test_the_choice_what_to_thin_is_made_for_the_last_root(store, other, when, act, whole):
    when(store, lambda: act(other))
    report = store.keep(Keep(thin=GONE))
    assert {ck.step for ck in store.checkpoints() if not ck.dropped} == whole
    assert {one.ref for one in report.of("thinned")} >= {ck.ref for ck in store.checkpoints() if ck.dropped}
    assert_whole_and_tidy(store)


def test_what_was_thinned_otherwise_meanwhile_is_thinned_again_from_there(store, other):
    before_commit(store, lambda: other.thin("main@1", "bias"))
    store.keep(Keep(thin=GONE))
    assert [ck.dropped for ck in store.checkpoints()] == [GONE, ["bias", "shared", "sometimes"], GONE, []]
    assert_whole_and_tidy(store)


def test_two_who_thin_one_checkpoint_both_get_their_way(store, other):
    before_commit(store, lambda: other.thin("main@1", ["bias", "sometimes"]))
    assert store.thin("main@1", "shared").dropped == ["bias", "sometimes", "shared"]
    before_commit(store, lambda: other.thin("main@2", GONE))
    with pytest.raises(ckstore.NotFoundError):
        store.thin("main@2", GONE)
    assert_whole_and_tidy(store)


def test_a_checkpoint_deleted_while_it_is_thinned_is_gone(store, other):
    before_commit(store, lambda: other.delete("main@1"))
    with pytest.raises(ckstore.CheckpointNotFound):
        store.thin("main@1", GONE)
    assert_whole_and_tidy(store)


def test_tags_and_notes_given_while_it_is_thinned_stay(store, other):
    before_commit(store, lambda: [other.tag("main@1", "mine"), other.annotate("main@1", metrics={"acc": 1.0})])
    thinned = store.thin("main@1", GONE)
    assert (thinned.tags, thinned.metrics["acc"], thinned.dropped) == (["mine"], 1.0, GONE)
    assert_whole_and_tidy(store)


@pytest.mark.parametrize("verb", ["thin", "keep"])
def test_who_is_given_up_by_a_gc_begins_again(store, other, verb):
    def expire() -> None:
        save(other, "other", 0)
        other.delete("other@0")
        other.gc(grace_s=0, expire_writers=True)

    before_commit(store, expire)
    if verb == "thin":
        store.thin("main@0", GONE)
    else:
        store.keep(Keep(every=2, last=1, thin=GONE))
        assert [step for _, step in keys(store)] == [0, 2, 3]
    assert store.checkpoint("main@0").dropped == GONE
    assert_whole_and_tidy(store)


def test_a_saver_whose_parent_is_thinned_before_it_commits_saves_what_it_has(store, other):
    def thin() -> None:
        other.thin("main@3", GONE)
        other.gc(grace_s=0)

    before_commit(store, thin)
    save(store, "main", 4)
    assert_same(store.load("main@4"), state_of("main", 4))
    save(store, "main", 5)
    assert_whole_and_tidy(store)


def test_a_reader_of_what_is_left_goes_on_beside_thin_and_gc(store, other):
    def thin() -> None:
        other.keep(Keep(every=9, last=1, thin=GONE))
        other.gc(grace_s=0)

    once(store._session.repo.objects, "manifest", thin)
    assert_same(store.load("main@0", select="model.*"), {"model": state_of("main", 0)["model"]})
    assert keys(store) == [("main", 0), ("main", 3)]
    assert_whole_and_tidy(store)


def test_a_parent_whose_pages_it_shares_may_be_condemned_before_it_commits(store, other, monkeypatch):
    monkeypatch.setattr(manifest, "ROWS_PER_PAGE", 1)
    frozen = {"frozen": [np.full(2000, i) for i in range(3)]}
    for step in range(2):
        store.save({**frozen, "gone": np.full(2000, step)}, run="cold", step=step)
    store.thin("cold@0", "gone")

    condemned = set()

    def condemn() -> None:
        other.delete("cold@0")
        assert other.gc(grace_s=0).waiting_writers == 1
        condemned.update((item.kind, item.name) for item in other._session.repo.root().condemned)

    before_commit(store, condemn)
    store.thin("cold@1", "gone")
    holders = store._session.repo.objects.closure(store._resolve("cold@1").closure).holders
    assert {kind for kind, _ in condemned & set(holders)} >= {MANIFEST}
    store.gc(grace_s=0)
    assert store.verify("data").ok
    assert_same(store.load("cold@1"), frozen)
