"""Whatever was saved, deleted and thinned: a gc that moves all it can leaves every checkpoint as it was."""

from __future__ import annotations

import tempfile
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ckstore
from ckstore.engine.gc import archive, collector
from ckstore.engine.gc.collector import Waiting
from ckstore.engine.gc.upkeep import Upkeep
from ckstore.format import closure
from tests.support.packs import pack_bytes
from tests.support.paths import IN_MEMORY
from tests.support.states import assert_same, strays

N = 2500
SAVE = st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(0, 3), st.sampled_from(["fast", "balanced"]))
ROUND = st.tuples(st.lists(SAVE, min_size=1, max_size=6), st.lists(st.integers(0, 7), max_size=6), st.booleans())


def state(step: int, sparse: bool, seed: int) -> dict[str, Any]:
    """Weights that drift or change here and there, their rounding, and one of four things others may have too."""
    weight = np.random.default_rng(5).normal(size=N).astype("f4")
    if sparse:
        weight[np.random.default_rng(step).integers(0, N, 20)] = step
    else:
        weight *= np.float32(1 + 1e-4 * step)
    other = np.random.default_rng(seed).normal(size=N)
    return {"w": weight, "half": weight.astype(ml_dtypes.bfloat16), "other": other}


def one_round(store: ckstore.Store, known: dict[str, Any], saves: Any, gone: list[int], thins: bool) -> None:
    for run, sparse, seed, level in saves:
        saved = state(len(known), sparse, seed)
        known[store.save(saved, run=run, level=level).id] = saved
    for i in gone:
        if i < len(known):
            doomed = list(known)[i]
            store.delete(doomed)
            del known[doomed]
    if thins and known:
        thinned = next(iter(known))
        known[thinned].pop("w", None)
        if "w" in store.load(thinned):
            store.thin(thinned, "w")


@settings(max_examples=50)
@given(st.lists(ROUND, min_size=1, max_size=3), st.sampled_from([0.001, 0.3]), st.sampled_from([None, 0, 1]))
def test_every_checkpoint_survives_what_is_moved(rounds, dead_share, newest):
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="ckstore-test-", dir=IN_MEMORY) as path,
        ckstore.open(f"{path}/store", create=True, chunk_elements=1024) as store,
    ):
        patch.setattr(closure, "ROWS_PER_PAGE", 3)  # so that checkpoints share pages
        known: dict[str, Any] = {}
        for saves, gone, thins in rounds:
            one_round(store, known, saves, gone, thins)
            report = collector.collect(store._session, Waiting(0), Upkeep(dead_share=dead_share, archive=newest))
            assert (report.unmovable, report.stopped, strays(store)) == ([], "", set())
            assert [ck.id for ck in store.checkpoints()] == list(known)
            for checkpoint, saved in known.items():
                assert_same(store.load(checkpoint), saved)
            assert store.verify("data").ok
            again = collector.collect(store._session, Waiting(0), Upkeep(dead_share=dead_share, archive=newest))
            assert again.deleted_objects == 0


@given(st.lists(SAVE, min_size=1, max_size=6), st.integers(0, 2), st.integers(1, 60_000))
def test_an_archive_never_stores_more(saves, newest, batch_bytes):
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="ckstore-test-", dir=IN_MEMORY) as path,
        ckstore.open(f"{path}/store", create=True, chunk_elements=1024) as store,
    ):
        patch.setattr(closure, "ROWS_PER_PAGE", 3)
        patch.setattr(archive, "BATCH_BYTES", batch_bytes)
        known: dict[str, Any] = {}
        one_round(store, known, saves, [], thins=False)
        store.gc(grace_s=0)
        before = pack_bytes(store)
        report = store.gc(grace_s=0, archive=newest)
        assert (report.unmovable, report.stopped, strays(store)) == ([], "", set())
        assert pack_bytes(store) <= before - report.archive_saved_bytes + 200 * (report.archived_frames > 0)
        assert report.archived_frames == 0 or pack_bytes(store) < before
        for checkpoint, saved in known.items():
            assert_same(store.load(checkpoint), saved)
        assert store.verify("data").ok
        assert store.gc(grace_s=0, archive=newest).archive_tried_bytes == 0
