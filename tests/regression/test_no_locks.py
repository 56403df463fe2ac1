"""What keeps writers from destroying each other's work are root steps, not locks, ages or clocks."""

from __future__ import annotations

import os
from pathlib import Path

import ckstore
from tests.support.packs import pack_names
from tests.support.states import assert_whole_and_tidy, keys
from tests.support.stores import before_commit, save


def remove_leases(store: ckstore.Store) -> None:
    for lease in Path(store.path, "lease").iterdir():
        lease.unlink()


def test_b4_leases_removed_under_a_saver_and_a_gc_cost_nothing(open_store):
    """restic, borg: 'unlock' while prune was at work let a backup and the prune destroy each other's packs."""
    saver, other = open_store(), open_store()
    save(saver, "main", 0)

    def unlock_and_collect() -> None:
        """Neither this gc nor any other sees the saver, whose parent goes."""
        remove_leases(other)
        other.delete("main@0")
        before_commit(other, lambda: remove_leases(other))
        assert other.gc(grace_s=0).deleted_objects > 0

    before_commit(saver, unlock_and_collect)
    save(saver, "main", 1)
    assert keys(other) == [("main", 1)]
    assert_whole_and_tidy(open_store())


def test_b6_what_a_saver_wrote_years_ago_stays_while_it_lives(open_store):
    """iceberg, gitaly: a job took longer than the age at which its files counted as orphans."""
    saver, other = open_store(), open_store()
    save(saver, "main", 0)

    def much_later() -> None:
        written = pack_names(saver)
        for file in Path(saver.path).rglob("*"):
            os.utime(file, (0, 0))
        assert other.gc(grace_s=0).deleted_objects == 0
        assert len(pack_names(saver)) == len(written) == 2

    before_commit(saver, much_later)
    save(saver, "other", 0)
    assert keys(other) == [("main", 0), ("other", 0)]
    assert_whole_and_tidy(open_store())


def test_b10_what_is_written_and_not_yet_published_outlives_newer_commits(open_store):
    """slatedb: a file that was uploaded before the newest published one, and published after it, was collected."""
    saver, other = open_store(), open_store()
    save(other, "main", 0)
    published = pack_names(other)

    def publish_newer_ones_and_collect() -> None:
        written = pack_names(saver) - published
        assert written
        for step in range(1, 4):
            save(other, "main", step)
        other.delete("main@1")
        other.gc(grace_s=0)
        assert written <= pack_names(saver)

    before_commit(saver, publish_newer_ones_and_collect)
    save(saver, "slow", 0)
    assert keys(other)[-1] == ("slow", 0)
    assert_whole_and_tidy(open_store())


def test_b19_two_collectors_and_a_saver_that_all_think_they_are_alone(open_store, nobody_lives):
    """borg: who removes a stale lock can remove the new one of another who did so first; then both hold the lock."""
    saver, first, second = open_store(), open_store(), open_store()
    for step in range(3):
        save(saver, "main", step)
    saver.delete("main@0")
    before_commit(first, lambda: second.gc(grace_s=0))
    before_commit(saver, lambda: first.gc(grace_s=0))
    save(saver, "main", 3)
    assert keys(first) == [("main", 1), ("main", 2), ("main", 3)]
    assert_whole_and_tidy(open_store())
