"""A root stays at or below 64 KiB: entries move to pages by bytes too, and a gc condemns in batches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import ckstore
from ckstore.engine import catalog, labels
from ckstore.format.names import PACK
from ckstore.format.records import Condemned
from ckstore.store.roots import ROOT_BYTES, root_bytes
from ckstore.store.writer import replace_root
from tests.unit.engine.states import CHUNK, drifting

BIG = "x" * (labels.MAX_BYTES - 1000)


@pytest.fixture
def store(store_path: str) -> Iterator[ckstore.Store]:
    with ckstore.open(store_path, create=True, chunk_elements=CHUNK) as opened:
        yield opened
        assert max(file.stat().st_size for file in Path(store_path, "root").iterdir()) <= ROOT_BYTES
        assert opened.verify("structure").ok


def steps(store: ckstore.Store) -> list[int]:
    return [checkpoint.step for checkpoint in store.checkpoints()]


def test_checkpoints_of_the_largest_meta_all_fit(store: ckstore.Store) -> None:
    for step in range(12):
        store.save({"a": step}, step=step, meta={"text": BIG})
    assert steps(store) == list(range(12))


def test_large_entries_behind_many_small_ones_fit(store: ckstore.Store) -> None:
    for step in range(catalog.INLINE_ENTRIES):
        store.save({"a": step}, step=step, meta={"text": "x" * 500})
    for step in range(catalog.INLINE_ENTRIES, catalog.INLINE_ENTRIES + 4):
        store.save({"a": step}, step=step, meta={"text": BIG})
    assert steps(store) == list(range(catalog.INLINE_ENTRIES + 4))


def test_meta_that_comes_later_fits(store: ckstore.Store) -> None:
    for step in range(catalog.INLINE_ENTRIES - 2):
        store.save({"a": step}, step=step)
    for step in reversed(range(catalog.INLINE_ENTRIES - 2)):
        found = store.annotate(f"main@{step}", meta={"text": BIG, "of": step})
        assert found.meta["of"] == step
    assert [ck.meta["of"] for ck in store.checkpoints()] == steps(store) == list(range(catalog.INLINE_ENTRIES - 2))


def test_tags_that_are_too_much_for_an_entry_are_refused(store: ckstore.Store) -> None:
    store.save({"a": 1}, meta={"text": "x" * (labels.MAX_BYTES - 60)})
    store.tag("latest", "good")
    with pytest.raises(ckstore.UsageError, match="metrics, tags and meta take"):
        store.tag("latest", "y" * 127)
    assert store.checkpoint("latest").tags == ["good"]


def test_a_gc_of_very_many_objects_condemns_them_in_batches(store: ckstore.Store) -> None:
    store.save(drifting(0), step=0)
    for n in range(3000):
        Path(store.path, "pack", f"1-00000000000000aa-{n}").write_bytes(b"stray")
    report = store.gc(grace_s=0)
    assert (report.condemned_objects, report.deleted_objects) == (3000, 3000)
    assert len(os.listdir(f"{store.path}/pack")) == 1
    assert store._session.repo.root().condemned == store._session.repo.root().deleting == []


def test_a_gc_that_has_to_wait_condemns_one_batch_and_the_next_gc_goes_on(store: ckstore.Store) -> None:
    store.save(drifting(0), step=0)
    for n in range(1500):
        Path(store.path, "pack", f"1-00000000000000aa-{n}").write_bytes(b"stray")
    with store._session.repo.writer():
        for _ in range(3):
            assert store.gc(grace_s=0).waiting_writers == 1
        assert 100 < len(store._session.repo.root().condemned) < 1500
    assert store.gc(grace_s=0).deleted_objects == 1500


def test_a_save_fits_beside_a_full_list_of_condemned(store: ckstore.Store) -> None:
    for step in range(4):
        store.save({"a": step}, step=step, meta={"text": BIG})
    for n in range(1500):
        Path(store.path, "pack", f"1-00000000000000aa-{n}").write_bytes(b"stray")
    with store._session.repo.writer():
        assert store.gc(grace_s=0).waiting_writers == 1
        for step in range(4, 8):
            store.save({"a": step}, step=step, meta={"text": BIG})
    assert steps(store) == list(range(8))


def test_a_list_of_condemned_from_before_that_is_too_long_is_worked_off(store_path: str) -> None:
    with ckstore.open(store_path, create=True) as store:
        long = [Condemned(PACK, f"1-00000000000000aa-{n}", 1) for n in range(3000)]
        with store._session.repo.writer() as writer:
            writer.commit(lambda root: replace_root(root, condemned=long), {})
        Path(store.path, "pack", "1-00000000000000bb-1").write_bytes(b"stray")
        store.gc(grace_s=0)
        assert os.listdir(f"{store.path}/pack") == []
        assert root_bytes(store._session.repo.root()) < 1000
