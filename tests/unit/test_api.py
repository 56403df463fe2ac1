"""The public face: what it takes, what it refuses, and in which words."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ckstore

STATE = {"model": {"weight": np.arange(2000, dtype="f4"), "bias": np.ones(3)}, "step": 3}


@pytest.fixture
def store(store_path: str) -> Iterator[ckstore.Store]:
    with ckstore.open(store_path, create=True, chunk_elements=1024) as store:
        store.save(STATE, step=1)
        yield store


@pytest.mark.parametrize("path", ["", b"store", None, 3, Path, ["store"]], ids=str)
@pytest.mark.parametrize("create", [False, True])
def test_a_path_that_is_none_is_refused(path: Any, create: bool, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ckstore.UsageError, match="path"):
        ckstore.open(path, create=create)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("stray", ["notes.txt", "docs/", "root/.DS_Store", "root/backup", "pack/"])
def test_a_directory_of_something_else_does_not_become_a_store(tmp_path: Path, stray: str) -> None:
    home = tmp_path / "home"
    (home / stray).parent.mkdir(parents=True)
    (home / stray).mkdir() if stray.endswith("/") else (home / stray).write_text("mine")
    before = sorted(home.rglob("*"))
    if stray == "pack/":  # what an init that was cut short leaves behind
        ckstore.open(home, create=True).close()
        return
    with pytest.raises(ckstore.UsageError, match=str(home)) as caught:
        ckstore.open(home, create=True)
    assert stray.rstrip("/") in str(caught.value)
    assert sorted(home.rglob("*")) == before


def test_an_empty_directory_becomes_a_store_and_a_store_with_strays_is_one(tmp_path: Path) -> None:
    ckstore.open(tmp_path, create=True).close()
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "root" / ".DS_Store").write_text("")
    ckstore.open(tmp_path, create=True).close()


def test_a_level_is_of_a_store_as_it_is_opened_and_of_a_save(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal(1 << 16).astype("f4")
    sizes = {}
    for opened, asked in (("balanced", None), ("fast", None), ("balanced", "fast"), ("fast", "archive")):
        home = tmp_path / f"{opened}-{asked}"
        with ckstore.open(home, create=True, level=opened) as store:
            sizes[opened, asked] = store.save({"weight": weight}, level=asked).stored_bytes
        with ckstore.open(home, readonly=True, level="archive") as store:
            assert store.load()["weight"].tobytes() == weight.tobytes()
    assert sizes["fast", None] == sizes["balanced", "fast"] > 1.02 * sizes["balanced", None]
    assert sizes["fast", "archive"] <= sizes["balanced", None]


def test_an_unknown_level_is_refused_before_anything_is_made(store: ckstore.Store, tmp_path: Path) -> None:
    with pytest.raises(ckstore.UsageError, match=r"'best' is no level.*fast, balanced, archive"):
        ckstore.open(tmp_path / "new", create=True, level="best")
    assert not (tmp_path / "new").exists()
    with pytest.raises(ckstore.UsageError, match="no level"):
        store.save(STATE, level="")
    assert len(store.checkpoints()) == 1


def test_settings_of_a_store_are_not_changed_in_silence(store: ckstore.Store) -> None:
    ckstore.open(store.path, create=True, chunk_elements=1024).close()
    with pytest.raises(ckstore.UsageError, match="chunk_elements=1024, not 2048"):
        ckstore.open(store.path, create=True, chunk_elements=2048)
    with pytest.raises(ckstore.UsageError, match="chain_frames=32, not 3"):
        ckstore.open(store.path, create=True, chain_frames=3)
    with pytest.raises(ckstore.UsageError, match="unknown setting"):
        ckstore.open(store.path, create=True, chunks=3)
    with pytest.raises(ckstore.UsageError, match="chunk_elements"):
        ckstore.open(f"{store.path}-new", create=True, chunk_elements="1024")


def test_a_store_says_what_it_is(store: ckstore.Store) -> None:
    assert repr(store) == f"<ckstore.Store '{store.path}'>"
    with ckstore.open(store.path, readonly=True) as other:
        assert repr(other) == f"<ckstore.Store '{store.path}', readonly>"
    assert repr(other) == f"<ckstore.Store '{store.path}', readonly, closed>"


def test_checkpoints_are_hashed_by_id(store: ckstore.Store) -> None:
    first = store.checkpoint("latest")
    assert {first, store.checkpoint("main@1")} == {first}
    assert hash(store.tag(first, "good")) == hash(first)


def test_a_checkpoint_is_a_reference_for_every_verb(store: ckstore.Store) -> None:
    first = store.checkpoint("latest")
    second = store.save(STATE, run="fork", parent=first)
    assert second.parent == first.id
    assert store.load(first)["step"] == 3
    assert store.save(STATE, run="alone", parent=None).parent is None
    store.delete(second)


@pytest.mark.parametrize("select", ["modle.*", ["modle.*", "nothing"], [], ["model"], "MODEL.*"], ids=str)
@pytest.mark.parametrize("into", [False, True])
def test_patterns_that_match_nothing_are_an_error(store: ckstore.Store, select: Any, into: bool) -> None:
    live = {"model": {"weight": np.zeros(2000, "f4"), "bias": np.zeros(3)}, "step": 0}
    with pytest.raises(ckstore.NotFoundError, match="select") as caught:
        store.load(select=select, into=live if into else None)
    if select:
        assert repr(select if isinstance(select, str) else select[0]) in str(caught.value)
        assert "model.weight" in str(caught.value)


@pytest.mark.parametrize("grace", [-1, -0.1, float("nan"), None, "1"], ids=str)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_grace_that_is_no_time_is_refused(store: ckstore.Store, grace: Any, dry_run: bool) -> None:
    with pytest.raises(ckstore.UsageError, match="grace_s"):
        store.gc(grace_s=grace, dry_run=dry_run)


@pytest.mark.parametrize("value", [{1, 2}, frozenset(), deque([1])], ids=str)
def test_collections_without_order_or_places_are_refused_with_a_hint(store: ckstore.Store, value: Any) -> None:
    with pytest.raises(ckstore.UsageError, match=r"'x'.*list"):
        store.save({"x": value})


def test_objects_with_a_state_dict_are_refused_by_its_name(store: ckstore.Store) -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters())
    for value in (model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 1)):
        with pytest.raises(ckstore.UsageError, match=r"\.state_dict\(\)"):
            store.save({"x": value})


@pytest.mark.parametrize("device", ["cuda:0", "cuda:99", "nothing", "cpu:x", 7.5], ids=str)
def test_a_device_that_is_not_there_is_refused(store: ckstore.Store, device: Any) -> None:
    torch = pytest.importorskip("torch")
    if device == "cuda:0" and torch.cuda.is_available():
        pytest.skip("this machine has it")
    x = torch.arange(2000.0)
    store.save({"w": x, "tied": (x[:1000], x[500:])}, step=2)
    for select in (None, "w"):
        with pytest.raises(ckstore.UsageError, match="device") as caught:
            store.load(device=device, select=select)
        assert str(device) in str(caught.value)


def test_a_field_name_that_is_no_text_is_refused(store: ckstore.Store) -> None:
    with pytest.raises(ckstore.UsageError, match=r"'x'.*surrogate"):
        store.save({"x": np.zeros(2, dtype=[("\ud800", "i4")])})


def test_a_record_has_no_way_out_of_the_store() -> None:
    assert not hasattr(ckstore.Store, "manifest")
