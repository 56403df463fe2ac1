"""Looks at a store beside a gc that deletes what they are about to read: they look again, at the newest root."""

from __future__ import annotations

import pytest

import ckstore
from ckstore import Keep
from ckstore.engine import reach
from ckstore.engine.gc import frames
from ckstore.engine.retain import sound
from tests.support.states import assert_whole_and_tidy, keys
from tests.support.stores import once, save


@pytest.fixture
def store(open_store):
    """A checkpoint that shares nothing, then three of one run; opened by somebody who has read nothing yet."""
    opened = open_store()
    save(opened, "alone", 0)
    for step in range(3):
        save(opened, "main", step)
    return open_store()


@pytest.fixture
def deleting(open_store):
    """Deletes a checkpoint and frees it."""

    def delete(ref: str, expire: bool = False) -> None:
        other = open_store()
        other.delete(ref)
        assert other.gc(grace_s=0, expire_writers=expire).freed_bytes > 0

    return delete


def refs(store: ckstore.Store) -> list[str]:
    return [f"{run}@{step}" for run, step in keys(store)]


def test_a_forecast_is_one_of_what_is_left(store, deleting):
    once(frames, "direct", lambda: deleting("alone@0"))
    plans = store.gc(dry_run=True).checkpoints
    assert [(plan.ref, plan.damaged) for plan in plans] == [(ref, False) for ref in refs(store)]
    assert len(plans) == 3


def test_usage_is_told_of_what_is_left(store, deleting):
    once(reach, "of_entry", lambda: deleting("main@2"))
    assert [one.ref for one in store.usage().checkpoints] == refs(store) == ["alone@0", "main@0", "main@1"]


def test_a_segment_that_a_gc_has_replaced_does_not_count_as_damaged(store, deleting):
    once(store._session.repo.objects, "segment", lambda: deleting("alone@0"))
    stats = store.stats()
    assert (stats.damaged_segments, stats.n_checkpoints) == (0, 3)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_policy_does_not_take_for_damaged_what_was_deleted_while_it_looked(store, deleting, dry_run):
    """It holds a lease only where it changes something; then it is given up and begins again."""
    once(sound, "_check", lambda: deleting("main@2", expire=not dry_run))
    report = store.keep(Keep(last=1), dry_run=dry_run)
    assert [(one.ref, one.action) for one in report.checkpoints] == [
        ("alone@0", "kept"), ("main@0", "deleted"), ("main@1", "kept"),
    ]  # fmt: skip
    assert not any("damaged" in reason for one in report.checkpoints for reason in one.reasons)
    assert refs(store) == (["alone@0", "main@0", "main@1"] if dry_run else ["alone@0", "main@1"])
    assert_whole_and_tidy(store)
