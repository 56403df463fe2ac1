"""Weights and moments are decoded together: each frame that they need once, in a load and in the next save."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

import ckstore
from ckstore.engine import batching, decode
from ckstore.engine.batching import MAX_TOGETHER, Target
from ckstore.engine.decode import needed_rows
from ckstore.format.closure import Row
from ckstore.format.records import ObjectRef
from tests.support.packs import rows_of, spoil
from tests.support.training import assert_equal, training

N_STEPS = 5
PACK = ObjectRef("1-00000000000000aa-1", bytes(32), 1 << 40)


@pytest.fixture
def store(store_path: str) -> Iterator[ckstore.Store]:
    with ckstore.open(store_path, create=True, chunk_elements=1 << 12) as opened:
        opened._session.bases._limit = 0  # as a state that is larger than the cache
        yield opened


@pytest.fixture
def states(store: ckstore.Store) -> list[dict[str, Any]]:
    found = list(training(N_STEPS))
    for step, state in enumerate(found):
        store.save(state, step=step)
    return found


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    """How often each chunk is decoded from now on."""
    found = Counter[bytes]()
    honest = decode.Decoder._decode

    def counting(self: Any, i: int, *rest: Any) -> None:
        found[self._rows[i].chunk_id] += 1
        honest(self, i, *rest)

    monkeypatch.setattr(decode.Decoder, "_decode", counting)
    return found


def test_a_load_decodes_each_frame_once(store, states, frames: Counter[bytes]) -> None:
    assert_equal(store.load("latest"), states[-1])
    assert set(frames) == {row.chunk_id for row in rows_of(store, "latest")}
    assert max(frames.values()) == 1


def test_an_average_and_a_copy_of_the_same_weights_do_not_decode_them_twice(store, frames: Counter[bytes]) -> None:
    for state in training(N_STEPS):
        state["half"] = {name: tensor.bfloat16() for name, tensor in state["model"].items()}
        store.save(state)
    frames.clear()
    assert_equal(store.load("latest"), state)
    assert set(frames) == {row.chunk_id for row in rows_of(store, "latest")}
    assert max(frames.values()) == 1


def test_a_save_decodes_each_frame_of_its_parent_once(store, states, frames: Counter[bytes]) -> None:
    *_, state = training(N_STEPS + 1)
    store.save(state)
    assert set(frames) <= {row.chunk_id for row in rows_of(store, f"main@{N_STEPS - 1}")}
    assert max(frames.values()) == 1
    frames.clear()
    assert_equal(store.load("latest"), state)


def test_tensors_with_the_same_chunk_are_filled_from_one_frame(store, frames: Counter[bytes]) -> None:
    value = np.random.default_rng(0).normal(size=4096).astype("f4")
    turned = np.asfortranarray(value.reshape(64, 64).T).T
    state = {"a": value, "b": value.copy(), "c": value.reshape(64, 64), "d": turned}
    store.save(state)
    into = {name: np.zeros_like(array) for name, array in state.items()}
    into["d"] = np.zeros((64, 64), "f4", order="F")  # not contiguous in logical order: no window
    store.load("latest", into=into)
    assert all(np.array_equal(into[name], state[name]) for name in state)
    assert list(frames.values()) == [1]


def test_what_cannot_be_read_of_the_parent_is_left_out_alone(store) -> None:
    """Weights are damaged; moments still serve, although they are asked for together."""
    first, second = training(2)
    store.save(first)
    weights = first["model"]["0.weight"].numpy().reshape(-1)[: 1 << 12]
    (row,) = (row for row in rows_of(store, "latest") if row.chunk_id == blake3(weights.tobytes()).digest())
    spoil(store, row)
    store.save(second, step=1)
    assert_equal(store.load("main@1"), second)
    assert row.chunk_id not in {one.chunk_id for one in rows_of(store, "main@1")}
    used = {leaf.path: set(leaf.codecs) for leaf in store.leaves("main@1")}
    assert used["model.0.weight"] == {"planes", "predicted"}
    assert used["optimizer.state.0.exp_avg_sq"] == {"predicted"}


@given(st.data())
def test_every_target_is_in_one_group_with_what_needs_it(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 40))
    bases = [data.draw(st.lists(st.integers(0, i - 1), max_size=3)) if i else [] for i in range(n)]
    rows = [Row(bytes(32), PACK, i, 10, 8, tuple(mine)) for i, mine in enumerate(bases)]
    wanted = sorted(data.draw(st.lists(st.integers(0, n - 1), min_size=1)))
    targets = [Target(row, None, None, at, at + 8) for at, row in enumerate(wanted)]  # type: ignore[arg-type]  # nothing is written
    most = data.draw(st.sampled_from([1, 20, 100]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "BATCH_BYTES", most)
        groups, made = batching.groups(targets, rows), list(batching.batches(targets, rows, 100))
    assert sorted(target for group in groups for target in group) == targets
    for group in groups:
        mine = {target.row for target in group}
        assert len(mine) <= max(1, min(MAX_TOGETHER, most // 8))
        for i in mine if len(mine) > 1 else ():
            others = mine - {i}
            assert i in needed_rows(rows, others) or not others.isdisjoint(needed_rows(rows, [i]))
    assert [group for batch in made for group in batch.groups] == groups
    for batch in made:
        needed = needed_rows(rows, [target.row for group in batch.groups for target in group])
        held = 10 * len(needed) + 8 * sum(len({target.row for target in group}) for group in batch.groups)
        assert batch.held_bytes == held
        assert batch.held_bytes <= 100 or len(batch.groups) == 1
