"""Segments whose pages lie in older ones: one gc removes these too when nobody needs the pages any more."""

from __future__ import annotations

import random

import pytest

import ckstore
from ckstore.store import segments
from tests.support.states import CHUNK, strays
from tests.support.stores import save


@pytest.mark.parametrize("seed", range(6))
def test_no_segment_is_stray_after_any_gc(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(segments, "MERGE_FACTOR", 2)
    rng = random.Random(seed)
    with ckstore.open(tmp_path / "store", create=True, chunk_elements=CHUNK) as store:
        for step in range(14):
            save(store, rng.choice("ab"), step)
            there = store.checkpoints()
            for ck in rng.sample(there, rng.randint(0, max(0, len(there) - 2))):
                store.delete(ck)
            if rng.random() < 0.6:
                store.gc(grace_s=0)
                assert strays(store) == set(), step
