"""gc(archive=N): frames of old checkpoints get smaller where that is worth it, once, and change no bit."""

from __future__ import annotations

import numpy as np
import pytest

import ckstore
from ckstore.engine.gc import frames, recode, tried
from tests.support.packs import pack_bytes, pack_names, packs_of, rows_of
from tests.support.states import assert_exact, assert_whole_and_tidy
from tests.support.stores import N_FAST, save
from tests.support.training import assert_equal, training
from tests.unit.engine.states import CHUNK

N = N_FAST


@pytest.fixture
def store(fast_store: ckstore.Store) -> ckstore.Store:
    return fast_store


def stop_trying(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recode, "encode", lambda *_: pytest.fail("a frame was tried again"))


def test_old_checkpoints_get_smaller_and_stay_what_they_were(store):
    before, planned = pack_bytes(store), store.gc(dry_run=True, archive=1)
    report = store.gc(grace_s=0, archive=1)
    assert report.archive_checkpoints == planned.archive_checkpoints == N - 1
    assert 0 < report.archive_tried_bytes <= planned.archive_tried_bytes
    assert report.archived_frames > 0
    assert before - pack_bytes(store) >= 0.9 * report.archive_saved_bytes > 0.01 * report.archive_tried_bytes
    assert_whole_and_tidy(store)
    assert_exact(store)


def test_the_newest_of_each_run_stay_where_they_are(store):
    newest = {ref: rows_of(store, ref) for ref in (f"main@{N - 1}", f"main@{N - 2}", "other@0")}
    assert store.gc(grace_s=0, archive=2).archive_checkpoints == N - 2
    old = packs_of(store, "main@0") | packs_of(store, "main@1")
    for ref, rows in newest.items():
        own = [row for row in rows if row.pack.name in pack_names(store)]
        assert [row for row in rows_of(store, ref) if row.pack.name not in old] == own
        assert own
    assert store.gc(grace_s=0, archive=0).archive_checkpoints == 3


def test_nothing_is_tried_twice(store, monkeypatch):
    assert store.gc(grace_s=0, archive=0).archived_frames > 0
    stop_trying(monkeypatch)
    store.tag("main@1", "good")
    store.annotate("main@2", metrics={"loss": 1.0})
    monkeypatch.setattr(frames, "read", lambda *_: pytest.fail("rows were read"))
    report = store.gc(grace_s=0, archive=0)
    assert (report.archive_checkpoints, report.archive_tried_bytes, report.deleted_objects) == (0, 0, 0)


def test_what_is_saved_on_top_is_all_that_is_tried_next(store, monkeypatch):
    store.gc(grace_s=0, archive=0)
    known = {row.chunk_id for step in range(N) for row in rows_of(store, f"main@{step}")}
    save(store, "main", N)
    seen: set[bytes] = set()
    honest = recode.encoded_again
    monkeypatch.setattr(
        recode, "encoded_again", lambda repo, rows, i, one: (seen.add(rows[i].chunk_id), honest(repo, rows, i, one))[1]
    )
    assert store.gc(grace_s=0, archive=0).archive_checkpoints == 1
    assert seen
    assert not seen & known
    assert_whole_and_tidy(store)


def test_a_thinned_checkpoint_keeps_its_note_and_a_repacked_one_too(store, monkeypatch):
    store.gc(grace_s=0, archive=0)
    stop_trying(monkeypatch)
    store.thin("main@1", "model.*")
    store.delete("main@0")
    store.gc(grace_s=0)
    assert store.gc(grace_s=0, archive=0).archive_tried_bytes == 0
    assert_whole_and_tidy(store)


def test_a_later_generation_tries_again(store, monkeypatch):
    store.gc(grace_s=0, archive=0)
    monkeypatch.setattr(tried, "GENERATION", tried.GENERATION + 1)
    assert store.gc(grace_s=0, archive=0).archive_checkpoints == N + 1


def test_where_a_sample_gains_nothing_the_rest_is_not_tried(fast_path):
    with ckstore.open(fast_path / "other", create=True, chunk_elements=CHUNK, level="archive") as store:
        state = {f"w{i}": np.random.default_rng(i).normal(size=1024).astype("f4") for i in range(70)}
        store.save(state)
        before = rows_of(store, "latest")
        report = store.gc(grace_s=0, archive=0)
        assert (report.archive_checkpoints, report.archived_frames) == (1, 0)
        assert 10 * before[0].frame_bytes * 0.9 < report.archive_tried_bytes < 10 * before[0].frame_bytes * 1.1
        assert rows_of(store, "latest") == before


def test_a_pack_that_gains_too_little_stays_whole(store, monkeypatch):
    monkeypatch.setattr(recode, "LEAST_SHARE", 0.5)
    before = {ref: rows_of(store, ref) for ref in ("main@0", "main@3", "other@0")}
    report = store.gc(grace_s=0, archive=0)
    assert (report.archived_frames, report.archived_bytes, report.archive_checkpoints) == (0, 0, N + 1)
    assert {ref: rows_of(store, ref) for ref in before} == before


def test_a_gain_that_is_small_beside_its_pack_is_no_gain(fast_path):
    rng = np.random.default_rng(0)
    state = {"first": rng.normal(size=CHUNK).astype("f4")}
    state |= {f"noise{i}": rng.integers(0, 256, 8192).astype("u1") for i in range(20)}
    with ckstore.open(fast_path / "other", create=True, chunk_elements=CHUNK, level="fast") as store:
        store.save(state)
        before = rows_of(store, "latest")
        report = store.gc(grace_s=0, archive=0)
        assert (report.archived_frames, rows_of(store, "latest")) == (0, before)
        assert report.archive_tried_bytes == sum(row.frame_bytes for row in before)


def test_what_was_tried_before_moves_as_it_lies_with_its_pack(fast_path):
    state = {name: np.random.default_rng(i).normal(size=CHUNK).astype("f4") for i, name in enumerate("xyz")}
    with ckstore.open(fast_path / "other", create=True, chunk_elements=CHUNK, level="fast") as store:
        store.save(state, run="all")
        for _ in range(2):
            store.save({"x": state["x"]}, run="one")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recode, "LEAST_SHARE", 0.9)
            assert store.gc(grace_s=0, archive=1).archive_checkpoints == 1
        old = rows_of(store, "one@1")
        report = store.gc(grace_s=0, archive=0)
        assert (report.archived_frames, report.archive_checkpoints) == (2, 2)
        new = rows_of(store, "one@1")
        assert [row.frame_bytes for row in new] == [row.frame_bytes for row in old]
        assert new != old
        assert packs_of(store, "all@0") == packs_of(store, "one@0") == pack_names(store)
        assert store.verify("data").ok


def test_predicted_frames_of_a_training_keep_their_bases(fast_path):
    with ckstore.open(fast_path / "other", create=True, chunk_elements=1 << 12) as store:
        states = list(training(5))
        for step, state in enumerate(states):
            store.save(state, step=step)
        chains = [[leaf.max_chain for leaf in store.leaves(f"main@{step}")] for step in range(5)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recode, "LEAST_SHARE", 1e-9)
            patch.setattr(recode, "_HOPE", 0.0)
            assert store.gc(grace_s=0, archive=0).archived_frames > 10
        for step, state in enumerate(states):
            assert_equal(store.load(f"main@{step}"), state)
            after = [leaf.max_chain for leaf in store.leaves(f"main@{step}")]
            assert all(new <= old for new, old in zip(after, chains[step], strict=True))
        assert store.verify("data").ok


def test_parts_of_a_training_are_found_by_their_names(fast_path):
    """Without hints the exponents of the second moments keep what rows and columns tell."""
    rng = np.random.default_rng(0)
    scales = np.outer(np.exp(3 * rng.normal(size=64)), np.exp(3 * rng.normal(size=64)))
    moments = {name: (scales * rng.normal(size=(64, 64)) ** 2).astype("f4") for name in ("exp_avg", "exp_avg_sq")}
    state = {"model": {"w": rng.normal(size=(64, 64)).astype("f4")}, "optimizer": {"w": moments}}
    saved = []
    for path in ("optimizer", "other"):
        with ckstore.open(fast_path / path, create=True, chunk_elements=1 << 14, level="fast") as store:
            named = {name if path == "optimizer" else f"x{i}": m for i, (name, m) in enumerate(moments.items())}
            store.save({**state, "optimizer": {"state": {0: named}}})
            saved.append(store.gc(grace_s=0, archive=0).archive_saved_bytes)
            assert store.verify("data").ok
    assert saved[0] > saved[1] + 500
