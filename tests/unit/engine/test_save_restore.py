"""save() and restore(): what is stored once, what becomes a delta, what a chain may cost, what is checked."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import ckstore
from ckstore.engine import encode as encode_module
from tests.unit.engine.states import CHUNK, assert_same, drifting, mixed


@pytest.fixture
def store(store_path: str):
    with ckstore.open(store_path, create=True, chunk_elements=CHUNK) as opened:
        yield opened


def all_bytes(path: str) -> int:
    return sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())


def test_every_step_of_a_run_comes_back_bit_exact_from_a_fresh_store_object(store):
    states = [drifting(step) for step in range(20)]
    for step, state in enumerate(states):
        store.save(state, step=step)
    with ckstore.open(store.path, readonly=True) as again:
        for step, state in enumerate(states):
            assert_same(again.load(f"main@{step}"), state)


def test_an_unchanged_state_adds_no_frame(store):
    store.save(drifting(0), step=0)
    packs = set(os.listdir(f"{store.path}/pack"))
    saved = store.save(drifting(0), step=1)
    assert set(os.listdir(f"{store.path}/pack")) == packs
    assert saved.stored_bytes < 4096


def test_a_frozen_tensor_is_stored_once_and_a_drifting_one_as_deltas(store):
    for step in range(4):
        store.save(drifting(step), step=step)
    leaves = {leaf.path: leaf for leaf in store.leaves("latest")}
    assert leaves["frozen"].max_chain == 1
    assert set(leaves["weight"].codecs) <= {"delta_int", "delta_xor"}
    assert leaves["weight"].max_chain == 4
    assert leaves["bias"].codecs == {"inline": 1}


def test_stored_bytes_are_the_bytes_of_all_files_a_save_adds(store):
    for step in range(40):  # enough for a page of the catalog and merged segments
        before = all_bytes(store.path)
        saved = store.save(drifting(step), step=step)
        assert saved.stored_bytes == all_bytes(store.path) - before
        assert store.checkpoint("latest") == saved


def test_a_half_precision_copy_of_a_master_costs_a_header(store):
    store.save(mixed(0), step=0)
    store.save(mixed(1), step=1)
    assert_same(store.load("main@0"), mixed(0))
    assert_same(store.load("main@1"), mixed(1))
    leaf = next(leaf for leaf in store.leaves("latest") if leaf.path == "model")
    assert set(leaf.codecs) == {"round"}
    assert leaf.stored_bytes < 150 * leaf.n_chunks


def test_a_copy_that_is_only_mostly_the_rounding_of_its_master_is_exact_too(store):
    state = mixed(0)
    state["model"][1500] = 3.0
    store.save(state)
    assert_same(store.load("latest"), state)


def test_a_chain_is_cut_at_the_cost_the_store_was_made_with(store_path):
    with ckstore.open(store_path, create=True, chunk_elements=CHUNK, chain_cost_milli=3000) as store:
        rng = np.random.default_rng(1)
        for step in range(12):
            store.save({"w": rng.normal(size=CHUNK).astype("f4") * np.float32(1e-3) + np.float32(1)}, step=step)
        for step in range(12):
            (leaf,) = store.leaves(f"main@{step}")
            assert leaf.max_chain <= 3 or "planes" in leaf.codecs
        assert any("planes" in store.leaves(f"main@{step}")[0].codecs for step in range(1, 12))


def test_a_chain_is_cut_at_the_number_of_frames_the_store_was_made_with(store_path):
    with ckstore.open(store_path, create=True, chunk_elements=CHUNK, chain_frames=4) as store:
        state = np.random.default_rng(1).normal(size=CHUNK).astype("f4")
        lengths = []
        for step in range(10):
            state[step] += 1
            store.save({"w": state}, step=step)
            lengths.append(store.leaves("latest")[0].max_chain)
        assert max(lengths) == 4
        assert lengths.count(1) > 1


def test_a_small_tensor_that_stays_as_it_is_becomes_a_chunk_and_costs_its_hash(store):
    rng = np.random.default_rng(3)
    state = {f"bias{i}": rng.normal(size=500).astype("f4") for i in range(40)}
    sizes = [store.save(state, step=step).stored_bytes for step in range(4)]
    assert sizes[0] > 40 * 2000 * 0.8
    assert max(sizes[2:]) < 0.2 * sizes[0]
    assert {leaf.n_chunks for leaf in store.leaves("main@3")} == {1}
    other = store.save(state, run="other", parent=None)
    assert other.stored_bytes < 0.2 * sizes[0]
    first = dict(state)
    state["bias7"] = state["bias7"] + 1
    store.save(state, step=4)
    assert {leaf.path: leaf.n_chunks for leaf in store.leaves("main@4")}["bias7"] == 0
    assert_same(store.load("main@4"), state)
    assert_same(store.load("other@latest"), first)


def test_parent_none_makes_a_checkpoint_without_deltas(store):
    store.save(drifting(0), step=0)
    store.save(drifting(1), step=1, parent=None)
    assert all(leaf.max_chain <= 1 for leaf in store.leaves("latest"))
    assert store.checkpoint("latest").parent is None


def test_a_fork_takes_its_deltas_from_the_checkpoint_it_names(store):
    base = store.save(drifting(0), step=0, run="base")
    fork = store.save(drifting(1), step=1, run="fork", parent="base@0")
    assert fork.parent == base.id
    assert next(leaf for leaf in store.leaves("fork@1") if leaf.path == "weight").max_chain == 2


def test_equal_chunks_are_found_across_runs_without_a_parent(store):
    store.save(drifting(0), step=0, run="one")
    packs = os.listdir(f"{store.path}/pack")
    store.save(drifting(0), step=0, run="two", parent=None)
    assert os.listdir(f"{store.path}/pack") == packs
    assert_same(store.load("two@0"), drifting(0))


def test_a_chunk_found_in_another_run_brings_its_bases_along(store):
    store.save(drifting(0), step=0, run="one")
    store.save(drifting(1), step=1, run="one")
    store.save(drifting(1), step=1, run="two")
    store.delete("one@0")
    store.delete("one@1")
    store.gc(grace_s=0)
    assert_same(store.load("two@1"), drifting(1))
    assert store.verify("data").ok


def test_a_damaged_parent_is_never_built_upon(store):
    store.save(drifting(0), step=0)
    (pack,) = Path(store.path, "pack").iterdir()
    data = bytearray(pack.read_bytes())
    data[200] ^= 1
    pack.write_bytes(data)
    with ckstore.open(store.path) as again:
        again.save(drifting(1), step=1)
        assert_same(again.load("main@1"), drifting(1))
        with pytest.raises(ckstore.CorruptError, match="pack"):
            again.load("main@0")


@pytest.mark.parametrize("kind", ["manifest", "closure"])
def test_a_parent_that_cannot_be_read_does_not_stop_a_save(store, kind):
    store.save(drifting(0), step=0)
    (file,) = Path(store.path, kind).iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    with ckstore.open(store.path) as again:
        saved = again.save(drifting(1), step=1)
        assert saved.parent is None
        assert_same(again.load("main@1"), drifting(1))
        with pytest.raises(ckstore.CorruptError, match=kind):
            again.save(drifting(2), step=2, parent="main@0")


def test_a_damaged_page_of_a_segment_does_not_stop_a_save(store):
    for step in range(6):
        store.save(drifting(step), step=step)
    for file in Path(store.path, "segment").iterdir():
        data = bytearray(file.read_bytes())
        data[70] ^= 1  # in the first page
        file.write_bytes(data)
    with ckstore.open(store.path) as again:
        for step in range(6, 12):  # enough to want merging
            again.save(drifting(step), step=step)
        again.save(drifting(3, seed=9), run="other")
        assert_same(again.load("main@11"), drifting(11))


def test_a_frame_that_does_not_decode_to_its_chunk_is_not_published(store, monkeypatch):
    honest = encode_module.encode

    def lying(raw, dtype, references=(), **options):
        wrong = bytearray(raw)
        wrong[5] ^= 4
        return honest(memoryview(bytes(wrong)), dtype, references, **options)

    monkeypatch.setattr(encode_module, "encode", lying)
    with pytest.raises(ckstore.IntegrityError, match="weight"):
        store.save(drifting(0))
    assert store.checkpoints() == []
    assert os.listdir(f"{store.path}/lease") == []


def test_the_caller_may_change_the_state_after_save_returned(store):
    state = drifting(0)
    store.save(state, step=0)
    state["weight"][:] = 0
    assert_same(store.load("latest"), drifting(0))


def test_empty_states_and_empty_tensors_are_states(store):
    for step, state in enumerate(({}, {"a": np.empty((0, 5), "f8")}, {"a": np.float32(3) + np.zeros((), "f4")})):
        store.save(state, step=step)
        found = store.load("latest")
        assert list(found) == list(state)
        for key in state:
            assert np.array_equal(found[key], state[key])


def test_threads_may_save_into_one_store_object_at_once(store):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: store.save(drifting(i, seed=i), run=f"run{i}", step=i), range(8)))
    for i in range(8):
        assert_same(store.load(f"run{i}@{i}"), drifting(i, seed=i))
