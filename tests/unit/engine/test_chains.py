"""Chains of deltas: where two of them meet, and the memory that decoding one takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import ml_dtypes
import numpy as np
import pytest

import ckstore
from ckstore.engine import batching
from ckstore.engine.batching import Batch
from ckstore.engine.decode import Decoder
from ckstore.engine.parent import load_closure
from ckstore.format.frame import MAX_DEPTH

N = 1 << 12


def walk(n: int, values: np.ndarray, seed: int = 0) -> Iterator[np.ndarray]:
    """`values`, and n times a copy of the last with three elements changed."""
    rng = np.random.default_rng(seed)
    yield values
    for _ in range(n):
        values = values.copy()
        values[rng.integers(0, len(values), 3)] += 1
        yield values


def weights(n: int = N) -> np.ndarray:
    return np.random.default_rng(1).normal(size=n).astype("f4")


@pytest.fixture
def store(store_path: str) -> Iterator[ckstore.Store]:
    with ckstore.open(store_path, create=True, chunk_elements=N, chain_frames=60, chain_cost_milli=1 << 30) as opened:
        yield opened


def save_run(store: ckstore.Store, run: str, values: list[np.ndarray]) -> np.ndarray:
    """Save a run that begins without a parent; its last values."""
    for n, value in enumerate(values):
        store.save({"w": value}, run=run, parent=None if n == 0 else "auto")
    return values[-1]


def longest(store: ckstore.Store, ref: str) -> int:
    return max(leaf.max_chain for leaf in store.leaves(ref))


@pytest.mark.parametrize("how", ["a@latest", "b@latest", None])
def test_a_chunk_found_on_top_of_a_long_chain_of_the_parent_is_stored_afresh(store: ckstore.Store, how) -> None:
    """Added up, the two chains are longer than any reader accepts."""
    last = save_run(store, "a", list(walk(50, weights())))
    last = save_run(store, "b", list(walk(30, last, seed=2)))
    assert longest(store, "a@latest") + longest(store, "b@latest") > MAX_DEPTH
    ck = store.save({"w": last}, run="c", parent=how)
    assert longest(store, ck.id) <= MAX_DEPTH
    assert store.load(ck)["w"].tobytes() == last.tobytes()


def test_chains_that_meet_with_a_rounding_on_top_can_be_read(store: ckstore.Store) -> None:
    value = save_run(store, "a", list(walk(50, weights())))
    value = save_run(store, "b", list(walk(30, value, seed=2)))
    state = {"h": value.astype(ml_dtypes.bfloat16), "w": value}
    ck = store.save(state, run="c", parent="a@latest")
    found = store.load(ck)
    assert all(found[name].tobytes() == state[name].tobytes() for name in state)


def test_decoding_a_chain_takes_the_memory_of_a_few_chunks(store_path: str) -> None:
    n = 1 << 16
    how = {"chunk_elements": n, "chain_frames": 60, "chain_cost_milli": 1 << 30}
    with ckstore.open(store_path, create=True, **how) as store:
        for value in walk(50, weights(n)):
            store.save({"w": value})
        repo = store._session.repo
        rows, _ = load_closure(repo, repo.root().inline[-1])
        assert longest(store, "latest") > 40
        out = bytearray(4 * n)
        Decoder(repo, rows).into(len(rows) - 1, memoryview(out))
        tracemalloc.start()
        Decoder(repo, rows).into(len(rows) - 1, memoryview(out))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert bytes(out) == value.tobytes()
    assert peak < 6 * 4 * n


def test_a_chain_on_a_master_is_decoded_through_chunks_of_both_sizes(store: ckstore.Store) -> None:
    values = list(walk(9, weights()))
    for value in values:
        store.save({"h": value.astype(ml_dtypes.bfloat16), "w": value})
    codecs = {name for leaf in store.leaves("latest") for name in leaf.codecs}
    assert "round" in codecs
    found = store.load("latest")
    assert found["h"].tobytes() == values[-1].astype(ml_dtypes.bfloat16).tobytes()
    assert found["w"].tobytes() == values[-1].tobytes()


@pytest.mark.parametrize("n_threads", [1, 4, 64])
def test_all_threads_of_a_restore_share_one_bound(store: ckstore.Store, monkeypatch, n_threads: int) -> None:
    monkeypatch.setattr(batching, "BATCH_BYTES", 40 * N)
    monkeypatch.setattr(batching, "ALL_BATCHES_BYTES", 80 * N)
    state = {str(i): np.random.default_rng(i).normal(size=3 * N) for i in range(8)}
    store.save(state)
    store._session.n_threads = n_threads
    held = []
    known = Batch.cost.fget
    monkeypatch.setattr(Batch, "cost", property(lambda batch: held.append(batch) or known(batch)))
    found = store.load("latest")
    assert all(found[name].tobytes() == value.tobytes() for name, value in state.items())
    most = max(batch.held_bytes for batch in held)
    assert most <= max(40 * N, 2 * 8 * N)
    assert most * n_threads <= 80 * N or all(len(batch.groups) == 1 for batch in held)
