"""What keep() must not take, however its rules are: the newest sound checkpoint of a run; and what a quota may take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ckstore
from ckstore import Keep
from ckstore.engine.retain import keep, sound
from ckstore.store.reserve import RESERVE_BYTES
from ckstore.store.roots import ROOT_BYTES
from tests.support.states import CHUNK, assert_same, keys, state_of
from unit.engine.keeping import fill, flip, reasons, steps


@pytest.fixture
def store(store_path: str):
    with ckstore.open(store_path, create=True, chunk_elements=CHUNK) as opened:
        yield opened


@pytest.mark.parametrize("what", ["manifest", "closure", "pack"])
def test_damage_to_the_newest_saves_the_one_before(store, what):
    """Nothing was read of the disk since: what is in memory of it says nothing."""
    fill(store, 1.0, 1.0, 1.0, 1.0)
    flip(store, "main@3", what)
    report = store.keep(Keep(last=1))
    assert steps(store) == [2, 3]
    assert reasons(report)["main@2"] == ["newest of run main that checks out"]
    assert reasons(report)["main@3"][0] == "last 1"
    assert reasons(report)["main@3"][1].startswith("damaged: ")
    assert_same(store.load("main@2"), state_of("main", 2))


def test_a_missing_pack_is_damage_too(store):
    fill(store, 1.0, 1.0, 1.0)
    entry = store._resolve("main@2")
    Path(store.path, "pack", store._session.repo.objects.closure(entry.closure).packs[-1].name).unlink()
    store.keep(Keep(last=1))
    assert steps(store) == [1, 2]


def test_of_a_run_in_which_nothing_checks_out_nothing_goes(store):
    fill(store, 1.0, 1.0)
    fill(store, 1.0, 1.0, run="other")
    for step in range(2):
        flip(store, f"main@{step}", "closure")
    report = store.keep(Keep(last=1))
    assert (steps(store), steps(store, "other")) == ([0, 1], [1])
    assert reasons(report)["main@0"] == ["nothing of run main checks out"]


def test_only_runs_that_would_lose_something_are_read(store, monkeypatch):
    fill(store, 1.0, 1.0)
    fill(store, 1.0, run="other")
    read, problem = [], sound.problem
    monkeypatch.setattr(sound, "problem", lambda repo, entry: read.append(entry.run) or problem(repo, entry))
    store.keep(Keep(last=2))
    assert read == []
    store.keep(Keep(last=1))
    assert read == ["main"]


def test_a_quota_takes_the_oldest_until_the_store_fits(store):
    for step in range(6):
        noise = np.random.default_rng(step).normal(size=4000)
        store.save({"noise": noise}, run="ab"[step % 2], step=step, tags=["good"] if step == 1 else [])
    store.gc(grace_s=0)
    total = store.usage().total_bytes
    report = store.keep(Keep(quota_bytes=total - 2 * 32_000 + 5000))
    assert [(ck.run, ck.step) for ck in store.checkpoints()] == [("b", 1), ("b", 3), ("a", 4), ("b", 5)]
    assert [one.reasons for one in report.checkpoints if one.action == "deleted"] == [["quota"], ["quota"]]
    assert report.over_quota_bytes == 0
    report = store.keep(Keep(quota_bytes=0))
    assert keys(store) == [("b", 1), ("a", 4), ("b", 5)]
    assert report.over_quota_bytes > 2 * 30_000


def test_a_quota_deletes_nothing_whose_packs_others_need_anyway(store):
    """Each delta needs all before it, so that deleting any but the last would free its own small records alone."""
    for step in range(4):
        store.save({"w": np.arange(5000.0) + step * 1e-9}, step=step)
    assert [leaf.max_chain for leaf in store.leaves("latest")] == [4]
    report = store.keep(Keep(quota_bytes=0))
    assert steps(store) == [0, 1, 2, 3]
    assert report.over_quota_bytes > 0
    store.save({"w": np.arange(5000.0)[::-1] ** 0.5}, step=4, parent=None)
    store.keep(Keep(quota_bytes=0))
    assert steps(store) == [4]


def test_a_quota_gives_back_what_fits_after_all_the_newest_first(store):
    """Two of 48 kB and one of 160 kB go before 170 kB are free; then one of the two fits again."""
    noise = np.random.default_rng(0).normal(size=(5, 20_000))
    for step, (run, size) in enumerate([("a", 6000), ("a", 6000), ("b", 20_000), ("a", 100), ("b", 100)]):
        store.save({"noise": noise[step][:size]}, run=run, step=step, parent=None)
    store.gc(grace_s=0)
    report = store.keep(Keep(quota_bytes=store.usage().total_bytes - 170_000))
    assert [one.action for one in report.checkpoints] == ["deleted", "kept", "deleted", "kept", "kept"]
    assert "spared by the quota" in reasons(report)["a@1"][-1]


def test_a_quota_counts_what_every_gc_leaves(store):
    """The reserve, which a small store gets by its first gc."""
    for step in range(12):
        store.save({"noise": np.random.default_rng(step).normal(size=8000)}, step=step, parent=None)
    report = store.keep(Keep(quota_bytes=RESERVE_BYTES + 300_000))
    assert report.over_quota_bytes == 0
    assert 0 < len(report.of("kept")) < 5
    store.gc(grace_s=0)
    total = sum(file.stat().st_size for file in Path(store.path).rglob("*") if file.is_file())
    assert store.usage().total_bytes == store.stats().stored_bytes == total
    assert total < RESERVE_BYTES + 300_000 + 4 * ROOT_BYTES


def test_what_expires_while_a_person_thinks_is_what_was_agreed_to(store):
    """The time to live counts from the dry run: what expires since stays until the next policy."""
    fill(store, 1.0, 1.0, 1.0)
    saved = [checkpoint.time.timestamp() for checkpoint in store.checkpoints()]
    policy, looked = Keep(ttl_s=60), (saved[0] + saved[1]) / 2 + 60.0
    agreed = keep.keep(store._session, policy, dry_run=True, clock=lambda: looked)
    assert [one.action for one in agreed.checkpoints] == ["deleted", "kept", "kept"]
    done = keep.keep(store._session, policy, agreed=agreed, clock=lambda: saved[2] + 3600.0)
    assert [one.action for one in done.checkpoints] == ["deleted", "kept", "kept"]
    assert done.time == agreed.time == looked
    assert steps(store) == [1, 2]


def test_a_quota_cannot_be_met_while_gc_is_stopped_by_damage(store):
    fill(store, 1.0, 1.0, 1.0)
    flip(store, "main@1", "closure")
    with ckstore.open(store.path) as fresh, pytest.raises(ckstore.CorruptError, match=r"main@1.*gc frees nothing"):
        fresh.keep(Keep(quota_bytes=0))
    with ckstore.open(store.path) as fresh:
        fresh.keep(Keep(last=1, quota_bytes=0))  # which deletes it
    assert steps(store) == [2]
