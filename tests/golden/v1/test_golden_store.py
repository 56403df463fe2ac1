"""A store as version 1 wrote it is read by every later version, from read-only files, to the last bit."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ckstore
from tests.golden.v1.content import describe
from tests.golden.v1.regenerate import EXPECTED, HERE, MAX_BYTES, STORE, files
from tests.unit.format.stranger import Stranger

CONTENT = json.loads(EXPECTED.read_text(encoding="utf-8"))
CHECKPOINTS = CONTENT["checkpoints"]
WITHOUT_TORCH = [about for about in CHECKPOINTS if not about["run"].startswith("torch")]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy that nobody can write to."""
    copy = tmp_path_factory.mktemp("golden") / "store"
    shutil.copytree(STORE, copy)
    everything = [copy, *copy.rglob("*")]
    for item in everything:
        item.chmod(0o555 if item.is_dir() else 0o444)
    yield copy
    for item in everything:
        item.chmod(0o755 if item.is_dir() else 0o644)


@pytest.fixture(scope="module")
def store(path: Path) -> Iterator[ckstore.Store]:
    with ckstore.open(path, readonly=True) as opened:
        yield opened


def assert_leaves(state: Any, about: dict[str, Any]) -> None:
    assert [list(leaf) for leaf in describe(state)] == about["leaves"]


def test_every_golden_file_is_there_and_unchanged() -> None:
    assert files() == CONTENT["files"]
    assert sum(path.stat().st_size for path in STORE.rglob("*")) < MAX_BYTES


def test_the_catalog_is_what_it_was(store: ckstore.Store) -> None:
    expected = [{name: value for name, value in about.items() if name != "leaves"} for about in CHECKPOINTS]
    found = [ck.to_dict() for ck in store.checkpoints()]  # later versions tell more of it
    assert [{name: ck[name] for name in about} for ck, about in zip(found, expected, strict=True)] == expected
    assert [ck.time for ck in store.checkpoints()] == sorted(ck.time for ck in store.checkpoints())


@pytest.mark.parametrize("about", WITHOUT_TORCH, ids=lambda about: about["ref"])
def test_a_checkpoint_loads_as_it_was_saved(store: ckstore.Store, about: dict[str, Any]) -> None:
    assert_leaves(store.load(about["id"]), about)


def test_torch_checkpoints_load_as_they_were_saved(store: ckstore.Store) -> None:
    pytest.importorskip("torch")
    of_torch = [about for about in CHECKPOINTS if about["run"].startswith("torch")]
    assert len(of_torch) == 2
    for about in of_torch:
        assert_leaves(store.load(about["id"]), about)


def test_references_lead_where_they_led(store: ckstore.Store) -> None:
    for about in CHECKPOINTS:
        for tag in about["tags"]:
            assert store.checkpoint(tag).id == about["id"]
        assert store.checkpoint(about["id"][:12]).id == about["id"]
    assert store.checkpoint("numpy@min:loss").step == 3
    assert store.checkpoint("numpy@max:acc").step == 3
    assert store.checkpoint("tiny@latest").step == 39


def test_the_store_is_whole_and_shows_every_codec(store: ckstore.Store) -> None:
    assert store.verify("data").ok
    used = {codec for ck in store.checkpoints() for leaf in store.leaves(ck) for codec in leaf.codecs}
    assert used == {"raw", "fill", "planes", "delta_int", "delta_xor", "round", "inline"}


def test_a_stranger_reads_every_tensor(store: ckstore.Store, path: Path) -> None:
    """Independently of all code of ckstore: the reader written from FORMAT.md."""
    stranger = Stranger(path)
    assert [entry[0].hex() for entry in stranger.entries] == [about["id"] for about in CHECKPOINTS]
    for entry in stranger.entries:
        tensors = [leaf for leaf in store.leaves(entry[0].hex()) if leaf.dtype]
        found = stranger.tensors(entry)
        assert [(name, dtype, shape) for name, (dtype, shape, _) in found.items()] == [
            (leaf.path.replace("('tuple', 1)", "['tuple', 1]"), leaf.dtype, leaf.shape) for leaf in tensors
        ]


def test_a_later_version_goes_on_in_a_golden_store(tmp_path: Path) -> None:
    """Saves, deletes and collects; git keeps no empty directories, so some are missing at first."""
    copy = tmp_path / "store"
    shutil.copytree(STORE, copy)
    for directory in ("lease", "tmp"):
        if (copy / directory).exists():
            os.rmdir(copy / directory)
    with ckstore.open(copy) as store:
        state = store.load("numpy@3")
        saved = store.save(state, run="numpy", step=4)
        assert saved.stored_bytes < 60_000
        store.delete("fork@9")
        store.gc(grace_s=0)
        about = next(about for about in CHECKPOINTS if about["ref"] == "numpy@3")
        assert_leaves(store.load("numpy@4"), about)
        assert store.verify("data").ok


@pytest.mark.parametrize("kind", ["root", "catalog", "closure", "segment"])
def test_a_later_version_repairs_a_golden_store(tmp_path: Path, kind: str) -> None:
    copy = tmp_path / "store"
    shutil.copytree(STORE, copy)
    assert ckstore.repair(copy).ok
    victim = min((copy / kind).iterdir())
    victim.chmod(0o644)
    victim.write_bytes(victim.read_bytes()[:-1])
    report = ckstore.repair(copy, dry_run=False)
    assert [loss for loss in report.losses if loss.tensors] == []
    with ckstore.open(copy) as store:
        assert {ck.id for ck in store.checkpoints()} == {about["id"] for about in CHECKPOINTS}
        for about in WITHOUT_TORCH[-3:]:
            assert_leaves(store.load(about["id"]), about)
        store.gc(grace_s=0)
        assert store.verify("data").ok


def test_a_later_version_thins_and_keeps_in_a_golden_store(tmp_path: Path) -> None:
    copy = tmp_path / "store"
    shutil.copytree(STORE, copy)
    with ckstore.open(copy) as store:
        store.thin("numpy@1", drop=["weight"])
        store.keep(ckstore.Keep(last=2))
        assert store.gc(grace_s=0, max_repack_bytes=1 << 30).freed_bytes
        assert "weight" not in store.load("numpy@1")
        for about in CHECKPOINTS:
            if about["ref"] in ("numpy@2", "numpy@3", "fork@9", "tiny@39"):
                assert_leaves(store.load(about["id"]), about)
        assert store.verify("data").ok


def test_a_golden_store_is_never_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.golden.v1 import regenerate

    before = files()
    with pytest.raises(SystemExit, match="never made again"):
        regenerate.main()
    assert files() == before
    assert (HERE / "regenerate.py").exists()
