"""The first checkpoint of a new run finds what it began from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import ckstore
from ckstore.engine import nearest
from tests.support.packs import rows_of, spoil

N = 1 << 16


@pytest.fixture
def store(store_path: str) -> Iterator[ckstore.Store]:
    with ckstore.open(store_path, create=True, chunk_elements=1 << 15) as opened:
        yield opened


def model(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"w": rng.normal(size=N).astype("f4"), "b": rng.normal(size=N // 2).astype("f4")}


def tuned(state: dict[str, np.ndarray], seed: int = 9) -> dict[str, np.ndarray]:
    """A few training steps away: every value moved a little."""
    rng = np.random.default_rng(seed)
    return {name: value + np.float32(1e-4) * rng.normal(size=value.shape).astype("f4") for name, value in state.items()}


def parent_of(store: ckstore.Store, ck: ckstore.Checkpoint) -> str | None:
    parents = {entry.id.hex(): entry.parent.hex() for entry in store._session.repo.root().inline}
    return parents[ck.id] or None


def test_a_fine_tune_finds_its_base_among_others(store) -> None:
    bases = [store.save(model(seed), run=f"base{seed}") for seed in range(5)]
    ck = store.save(tuned(model(3)), run="tuned")
    assert parent_of(store, ck) == bases[3].id
    assert ck.stored_bytes < 0.9 * bases[3].stored_bytes
    assert all(np.array_equal(store.load(ck)[name], value) for name, value in tuned(model(3)).items())


def test_the_oldest_of_a_run_may_be_nearer_than_its_newest(store) -> None:
    first = store.save(model(1), run="main")
    store.save(model(2), run="main")
    assert parent_of(store, store.save(tuned(model(1)), run="tuned")) == first.id


def test_what_resembles_nothing_has_no_parent(store) -> None:
    store.save(model(1), run="main")
    assert parent_of(store, store.save(model(2), run="other")) is None
    assert parent_of(store, store.save({"w": np.zeros(7)}, run="small")) is None
    assert parent_of(store, store.save({"w": model(1)["w"].reshape(2, -1)}, run="reshaped")) is None


def test_a_parent_that_is_named_or_ruled_out_is_obeyed(store) -> None:
    store.save(model(1), run="main")
    far = store.save(model(2), run="far")
    assert parent_of(store, store.save(tuned(model(1)), run="a", parent=far)) == far.id
    assert parent_of(store, store.save(tuned(model(1)), run="b", parent=None)) is None


def test_a_damaged_candidate_is_passed_over(store) -> None:
    good = store.save(model(1), run="good")
    store.save(tuned(model(1), seed=1), run="bad", parent=None)
    for row in rows_of(store, "bad@latest"):
        spoil(store, row)
    assert parent_of(store, store.save(tuned(model(1)), run="tuned")) == good.id


def test_only_some_runs_are_looked_at(store, monkeypatch) -> None:
    monkeypatch.setattr(nearest, "CANDIDATES", 2)
    store.save(model(1), run="near")
    for seed in (2, 3):
        store.save(model(seed), run=f"far{seed}")
    assert parent_of(store, store.save(tuned(model(1)), run="tuned")) is None
