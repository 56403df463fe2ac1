"""What a list says of a chunk counts only as far as the newest root says the same."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.states import CHUNK, assert_same, assert_whole_and_tidy, keys
from tests.support.stores import Killed, save

NOISE = {"x": np.random.default_rng(1).normal(size=5 * CHUNK).astype("f4")}
"""Chunks that no other state here has."""


@pytest.mark.parametrize("removes", [True, False], ids=["after the pack went", "before"])
def test_b1_a_save_after_a_gc_that_died_deleting_stores_its_chunks_again(open_store, removes):
    """borg: the index still named what compact had deleted before it died, so later backups never stored it again."""
    store, victim = open_store(), open_store()
    save(store, "main", 0)
    store.save(NOISE, run="noise", step=0)
    store.delete("noise@0")
    remove = victim._session.repo.fs.remove

    def dying(path):
        if removes or not path.startswith("pack/"):
            remove(path)
        if path.startswith("pack/"):
            raise Killed

    victim._session.repo.fs.remove = dying
    with pytest.raises(Killed):
        victim.gc(grace_s=0)
    for run, saver in (("a", store), ("b", open_store())):
        saver.save(NOISE, run=run, step=0, parent=None)
    store.gc(grace_s=0)
    for run in ("a", "b"):
        assert_same(open_store().load(f"{run}@0"), NOISE)
    assert store.verify("data").ok


def test_b2_a_store_that_was_open_all_along_finds_nothing_that_a_gc_freed(open_store):
    """xet: a client's cached deduplication table pointed into a shard that was gone, so it uploaded nothing."""
    saver, other = open_store(), open_store()
    saver.save(NOISE, run="noise", step=0)
    found = saver.save(NOISE, run="copy", step=0, parent=None)
    assert found.stored_bytes < NOISE["x"].nbytes / 2  # it has looked its chunks up, and knows where they lie
    for ref in ("noise@0", "copy@0"):
        other.delete(ref)
    other.gc(grace_s=0)
    saver.save(NOISE, run="again", step=0, parent=None)
    assert_same(open_store().load("again@0"), NOISE)
    assert saver.verify("data").ok


def test_b9_a_gc_of_a_store_that_has_seen_no_news_frees_none_of_it(open_store):
    """ClickHouse: a collector started from an old hint of what was live and deleted what was acknowledged since."""
    collector, saver = open_store(), open_store()
    save(collector, "main", 0)
    collector.load("latest")
    for step in range(1, 4):
        save(saver, "main", step)
    saver.delete("main@1")
    assert collector.gc(grace_s=0).deleted_objects > 0
    assert keys(saver) == [("main", 0), ("main", 2), ("main", 3)]
    assert_whole_and_tidy(open_store())
