"""thin(): what is dropped is gone, what is left is left to the bit, and the rest of the store does not notice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace

import ckstore
from ckstore.engine import catalog
from ckstore.format import closure, envelope, manifest
from ckstore.store import packs
from tests.support.states import strays
from unit.adapters.sameness import assert_same
from unit.engine.states import CHUNK


@pytest.fixture
def store(store_path: str):
    with ckstore.open(store_path, create=True, chunk_elements=CHUNK) as opened:
        yield opened


def training(step: int, n: int = 5000) -> dict[str, Any]:
    """A model and its optimizer, both of which drift; a small leaf and a plain value in each."""
    rng = np.random.default_rng(7)
    weight, moment = rng.normal(size=(2, n)).astype("f4") * np.float32(1 + 1e-4 * step)
    return {
        "model": {"w": weight, "bias": np.full(5, step, "f4"), "name": "mlp"},
        "optimizer": {"state": {0: {"m": moment, "step": step}}, "groups": [{"lr": 0.1}]},
    }


def model_of(step: int) -> dict[str, Any]:
    return {"model": training(step)["model"]}


def test_a_thinned_checkpoint_keeps_its_id_and_says_what_it_lost(store):
    saved = store.save(training(1), step=1, metrics={"loss": 2.0}, tags=["good"], meta={"note": "x"})
    thinned = store.thin("main@1", drop=["optimizer.*"])
    assert (thinned.id, thinned.ref, thinned.time) == (saved.id, "main@1", saved.time)
    assert (thinned.metrics, thinned.tags, thinned.meta) == ({"loss": 2.0}, ["good"], {"note": "x"})
    assert (saved.dropped, thinned.dropped) == ([], ["optimizer.*"])
    assert thinned.to_dict()["dropped"] == ["optimizer.*"]
    assert (saved.n_tensors, thinned.n_tensors) == (3, 2)
    assert thinned.logical_bytes == 5000 * 4 + 5 * 4 < saved.logical_bytes
    assert thinned.stored_bytes == saved.stored_bytes
    with ckstore.open(store.path, readonly=True) as again:
        assert again.checkpoint(saved.id[:8]) == again.checkpoint("good") == thinned
        assert_same(model_of(1), again.load("good"))
        assert {leaf.path for leaf in again.leaves("good")} == {"model.w", "model.bias", "model.name"}


def test_its_manifest_says_whose_it_is(store):
    saved = store.save(training(1))
    store.thin(saved, drop="optimizer.*")
    entry = store._resolve("latest")
    head = store._session.repo.objects.manifest(entry.manifest)
    notes = envelope.decode_map(head.extra, "manifest")
    assert notes == {"checkpoint": bytes.fromhex(saved.id), "epoch": 1, "dropped": ["optimizer.*"]}
    assert entry.manifest.digest != entry.id


def test_thinned_twice_lists_both_in_order(store):
    store.save(training(1))
    store.thin("latest", drop=["optimizer.*", "model.name"])
    assert store.thin("latest", drop=["model.bias"]).dropped == ["optimizer.*", "model.name", "model.bias"]
    assert_same({"model": {"w": training(1)["model"]["w"]}}, store.load("latest"))
    with pytest.raises(ckstore.NotFoundError):
        store.thin("latest", drop=["optimizer.*"])


def test_keys_of_others_in_the_free_maps_stay(store):
    store.save(training(1))
    repo = store._session.repo
    mark, entry = envelope.encode_map({"of tomorrow": 1}), store._resolve("latest")
    with repo.writer() as writer:
        writer.commit(
            lambda root: catalog.change(repo, writer, root, entry.id, lambda old: replace(old, extra=mark)), {}
        )
    store.thin("latest", drop=["optimizer.*"])
    extra = envelope.decode_map(store._resolve("latest").extra, "entry")
    assert extra == {"of tomorrow": 1, "dropped": ["optimizer.*"]}


@pytest.mark.parametrize(
    ("drop", "error", "said"),
    [
        (["optimzer.*"], ckstore.NotFoundError, "nearest are: optimizer"),
        ([], ckstore.NotFoundError, "nearest"),
        (["*"], ckstore.UsageError, "nothing would be left"),
        ([3], ckstore.UsageError, "patterns of text"),
        (["optimizer.*", "x" * 20_000], ckstore.UsageError, "use fewer"),
    ],
    ids=str,
)
def test_what_cannot_be_dropped_changes_nothing(store, drop, error, said):
    store.save(training(1))
    before, number = store.checkpoint("latest"), store.stats().root_number
    for verb in (store.thin, store.freed_by_thin) if said != "use fewer" else (store.thin,):
        with pytest.raises(error, match=said):
            verb("latest", drop)
    assert (store.checkpoint("latest"), store.stats().root_number) == (before, number)
    assert_same(training(1), store.load("latest"))
    store.gc(grace_s=0)
    assert strays(store) == set()


def test_a_checkpoint_that_is_gone_or_a_store_that_is_readonly_cannot_be_thinned(store):
    saved = store.save(training(1))
    with ckstore.open(store.path, readonly=True) as other, pytest.raises(ckstore.UsageError):
        other.thin("latest", drop=["optimizer.*"])
    store.delete(saved)
    with pytest.raises(ckstore.CheckpointNotFound):
        store.thin(saved, drop=["optimizer.*"])


def test_thin_then_gc_frees_the_packs_that_nobody_needs_and_promises_no_more(store, monkeypatch):
    monkeypatch.setattr(packs, "PACK_BYTES", 1)  # a pack for each frame
    for step in range(3):
        store.save(training(step), step=step, parent=None if step == 0 else "auto", weights_alone=True)
    store.gc(grace_s=0)
    promised = [store.freed_by_thin(f"main@{step}", "optimizer.*") for step in range(3)]
    assert [plan.freed_bytes > 0 for plan in promised] == [False, False, True]  # all others are bases of the last
    assert [(plan.n_tensors, plan.logical_bytes) for plan in promised] == [(1, 20_000)] * 3
    before = on_disk(store, "pack")
    store.thin("main@2", "optimizer.*")
    store.gc(grace_s=0)
    assert before - on_disk(store, "pack") == promised[2].freed_bytes
    for step in range(2):
        store.thin(f"main@{step}", "optimizer.*")
    store.gc(grace_s=0)
    assert on_disk(store, "pack") < 0.6 * before
    for step in range(3):
        assert_same(model_of(step), store.load(f"main@{step}"))
    assert store.verify("data").ok
    assert strays(store) == set()


def on_disk(store: ckstore.Store, directory: str) -> int:
    return sum(file.stat().st_size for file in Path(store.path, directory).iterdir())


def test_a_dropped_master_stays_as_the_base_of_what_was_rounded_from_it(store):
    master = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    store.save({"model": master.to(torch.bfloat16), "optimizer": {"master": master}})
    chain = store.leaves("latest")[0].max_chain
    store.thin("latest", drop="optimizer.*")
    assert store.leaves("latest")[0].max_chain == chain == 2
    store.gc(grace_s=0)
    assert_same({"model": master.to(torch.bfloat16)}, store.load("latest"))
    assert store.verify("data").ok


def test_children_of_a_thinned_checkpoint_load_and_more_can_be_saved_on_it(store):
    store.save(training(0), step=0)
    store.save(training(1), step=1)
    store.thin("main@0", drop="optimizer.*")
    store.thin("main@1", drop="optimizer.*")
    store.save(training(2), step=2)  # its model is a delta, its moments have no base
    store.save(training(3), step=3, parent="main@0")
    store.gc(grace_s=0)
    for step in (2, 3):
        chains = {leaf.path: leaf.max_chain for leaf in store.leaves(f"main@{step}")}
        assert (chains["model.w"] > 1, chains["optimizer.state.0.m"]) == (True, 1)
        assert_same(training(step), store.load(f"main@{step}"))
    assert_same(model_of(1), store.load("main@1"))
    store.delete("main@0")
    store.delete("main@1")
    store.gc(grace_s=0)
    assert_same(training(3), store.load("main@3"))
    assert store.verify("data").ok


def test_a_thinned_state_can_be_loaded_into_a_live_one_in_part(store):
    store.save(training(1))
    store.thin("latest", drop="optimizer.*")
    live = training(5)
    with pytest.raises(ckstore.UsageError, match="optimizer"):
        store.load("latest", into=live)
    assert_same(training(5), live)
    found = store.load("latest", into=live, select="model.*")
    assert_same({**training(5), "model": training(1)["model"]}, found)


def test_pages_are_shared_with_the_parent_and_not_with_what_it_was(store, monkeypatch):
    monkeypatch.setattr(manifest, "ROWS_PER_PAGE", 2)
    monkeypatch.setattr(closure, "ROWS_PER_PAGE", 2)
    frozen = {"frozen": [np.random.default_rng(i).normal(size=3000).astype("f4") for i in range(4)]}
    for step in range(2):
        store.save({**frozen, "model": np.full(2000, step, "f4"), "optimizer": [step, np.full(2000, step)]}, step=step)
    for step in range(2):
        store.thin(f"main@{step}", "optimizer.*")
    first, second = store._resolve("main@0"), store._resolve("main@1")
    head = store._session.repo.objects.manifest(second.manifest)
    assert {page.holder for page in head.pages} == {first.manifest.name, ""}
    store.delete("main@0")
    store.gc(grace_s=0)
    assert_same({**frozen, "model": np.full(2000, 1, "f4")}, store.load("main@1"))
    assert store.verify("data").ok
    assert strays(store) == set()


def everything_of_torch() -> dict[str, Any]:
    """What torch can tie, nest and compose, in one state."""
    w = torch.arange(3000.0)
    return {
        "tied": {"embed": w, "head": w, "view": w[100:2000]},
        "sparse": torch.eye(50).to_sparse(),
        "masked": np.ma.array([1.0, 2.0], mask=[0, 1]),
        "list": [torch.ones(2000), (torch.zeros(3), {"n": 1})],
        "parameter": torch.nn.Parameter(torch.ones(4, 4).T),
        "rng": torch.Generator().manual_seed(0).get_state(),
    }


@pytest.mark.parametrize(
    ("drop", "others"),
    [
        (["tied.embed"], ["tied.[hv]*", "[!t]*"]),
        (["tied.head"], ["tied.[ev]*", "[!t]*"]),
        (["tied.view"], ["tied.[eh]*", "[!t]*"]),
        (["tied.[eh]*"], ["tied.view", "[!t]*"]),
        (["sparse"], ["[!s]*"]),
        (["masked", "list.0"], ["[!ml]*", "list.1*"]),
        (["list.1.*"], ["[!l]*", "list.0"]),
        (["[!s]*"], ["s*"]),
    ],
    ids=str,
)
def test_ties_composites_and_small_leaves_of_torch_stay_what_they_are(store, drop, others):
    store.save(everything_of_torch())
    expected = store.load("latest", select=others)
    store.thin("latest", drop=drop)
    store.gc(grace_s=0)
    found = store.load("latest")
    assert_same(expected, found)
    if drop == ["tied.view"]:
        assert found["tied"]["embed"] is found["tied"]["head"]
    assert store.verify("data").ok
    assert strays(store) == set()
