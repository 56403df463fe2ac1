"""keep(): what its rules say goes, and never what a run cannot do without."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import ckstore
from ckstore import Keep
from ckstore.engine import catalog
from ckstore.engine.retain import keep
from ckstore.store import packs
from tests.support.states import CHUNK, assert_same, keys, state_of, strays
from unit.engine.keeping import fill, n_bytes, reasons, steps


@pytest.fixture
def store(store_path: str):
    with ckstore.open(store_path, create=True, chunk_elements=CHUNK) as opened:
        yield opened


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ({"last": 2}, [5, 6]),
        ({"last": 99}, [0, 1, 2, 3, 4, 5, 6]),
        ({"every": 3}, [0, 3, 6]),
        ({"best": [("loss", "min", 1)]}, [4, 6]),  # 6 is the newest that checks out
        ({"best": [("loss", "max", 1)]}, [2, 6]),
        ({"best": [("loss", "min", 2), ("loss", "max", 1)]}, [0, 2, 4, 6]),
        ({"best": [("loss", "min", 9)]}, [0, 2, 4, 5, 6]),
        ({"best": [("accuracy", "max", 3)]}, [6]),
        ({"last": 1, "every": 4}, [0, 4, 6]),
        ({"tagged": True}, [6]),
    ],
    ids=str,
)
def test_what_any_rule_keeps_stays_and_the_rest_goes(store, rules, left):
    fill(store, 1.0, math.nan, 3.0, None, 1.0, 2.0, 3.0 - 1e-9)
    before, report = keys(store), store.keep(Keep(**rules))
    assert steps(store) == left
    assert [one.action == "kept" for one in report.checkpoints] == [step in left for _, step in before]
    assert all(one.reasons for one in report.checkpoints)
    for step in left:
        assert_same(store.load(f"main@{step}"), state_of("main", step))


def test_each_run_has_its_own_newest_and_best(store):
    for run in ("a", "b"):
        fill(store, 3.0, 1.0, 2.0, 2.0, run=run)
    store.keep(Keep(last=1, best=[("loss", "min", 1)]))
    assert (steps(store, "a"), steps(store, "b")) == ([1, 3], [1, 3])
    store.keep(Keep(last=1, run="b"))
    assert (steps(store, "a"), steps(store, "b")) == ([1, 3], [3])


def test_the_newest_of_equals_is_the_best(store):
    fill(store, 1.0, 1.0, 2.0, 2.0)
    store.keep(Keep(best=[("loss", "min", 1), ("loss", "max", 1)]))
    assert steps(store) == [1, 3]


def test_a_time_to_live_goes_by_the_time_of_the_checkpoint(store):
    fill(store, 1.0, 1.0, 1.0)
    born = [store._resolve(f"main@{step}").time_ns / 1e9 for step in range(3)]
    for ttl_s, left in ((100.0, [1, 2]), (100.0 - 1e-3, [2])):
        keep.keep(store._session, Keep(ttl_s=ttl_s), clock=lambda: born[0] + 100.0)
        assert steps(store) == left
        born[0] = born[1]


def test_tagged_checkpoints_stay_and_are_not_thinned(store):
    fill(store, 1.0, 1.0, 1.0)
    store.tag("main@0", "good")
    report = store.keep(Keep(last=1, thin=["model.*"]))
    assert (steps(store), store.checkpoint("good").dropped) == ([0, 2], [])
    assert reasons(report)["main@0"] == ["tagged good"]


def test_a_dry_run_changes_nothing_and_needs_no_writing(store):
    fill(store, 1.0, 2.0, 3.0)
    before = {file: file.read_bytes() for file in Path(store.path).rglob("*") if file.is_file()}
    with ckstore.open(store.path, readonly=True) as readonly:
        planned = readonly.keep(Keep(last=1, thin=["model.*"], thin_beyond=1, quota_bytes=0), dry_run=True)
        with pytest.raises(ckstore.UsageError):
            readonly.keep(Keep(last=1))
    assert planned.dry_run
    assert before == {file: file.read_bytes() for file in Path(store.path).rglob("*") if file.is_file()}
    done = store.keep(Keep(last=1, thin=["model.*"], thin_beyond=1, quota_bytes=0), agreed=planned)
    assert done.to_dict() == {**planned.to_dict(), "dry_run": False}


def test_one_root_step_deletes_and_one_more_thins(store, monkeypatch):
    monkeypatch.setattr(catalog, "INLINE_ENTRIES", 4)
    fill(store, *range(12))
    number = store.stats().root_number
    report = store.keep(Keep(every=2, last=1, thin=["shared", "model.*"], thin_beyond=3))
    assert store.stats().root_number == number + 2
    assert [one.action for one in report.checkpoints] == ["thinned", "deleted"] * 4 + [
        "kept",
        "deleted",
        "kept",
        "kept",
    ]
    for ck in store.checkpoints():
        whole = state_of("main", ck.step)
        assert ck.dropped == ([] if ck.step >= 8 else ["shared", "model.*"])
        kept = {key: value for key, value in whole.items() if ck.step >= 8 or key not in ("shared", "model")}
        assert_same(store.load(ck), kept)
    store.gc(grace_s=0)
    assert strays(store) == set()
    assert store.verify("data").ok
    number = store.stats().root_number
    again = store.keep(Keep(every=2, last=1, thin=["shared", "model.*"], thin_beyond=3))
    assert {one.action for one in again.checkpoints} == {"kept"}
    assert store.stats().root_number == number


def test_what_has_nothing_to_drop_is_left_alone(store):
    fill(store, 1.0, 1.0)
    store.save({"model": np.zeros(2000)}, run="main", step=9)
    report = store.keep(Keep(thin=["optimizer.*"]))
    assert {one.action for one in report.checkpoints} == {"kept"}
    assert {one.action for one in store.keep(Keep(thin=["*"])).checkpoints} == {"kept"}


def test_gc_frees_at_least_what_was_promised(store, monkeypatch):
    monkeypatch.setattr(packs, "PACK_BYTES", 1)
    fill(store, *range(6), parent=None)
    store.gc(grace_s=0)
    before = n_bytes(store)
    report = store.keep(Keep(last=2))
    store.gc(grace_s=0)
    assert before - n_bytes(store) >= report.freed_bytes > 0
