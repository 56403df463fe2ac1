"""gc: what it frees, what it must not free, and that nothing stray is left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import ckstore
from ckstore.engine import reach
from ckstore.engine.gc import trim
from ckstore.format.names import DIRECTORY
from ckstore.store.reserve import RESERVE
from tests.unit.engine.states import CHUNK, assert_same, drifting


@pytest.fixture
def store(store_path: str):
    with ckstore.open(store_path, create=True, chunk_elements=CHUNK) as opened:
        yield opened


def assert_nothing_stray(store: ckstore.Store) -> None:
    repo = store._session.repo
    needed = {f"{DIRECTORY[kind]}/{name}" for kind, name in reach.of_root(repo, repo.root())}
    there = {str(file.relative_to(store.path)) for file in Path(store.path).rglob("*") if file.is_file()}
    assert {name for name in there if not name.startswith("root/")} == needed | {RESERVE}


def test_gc_frees_what_only_deleted_checkpoints_needed(store):
    store.save(drifting(0, seed=1), step=0, run="a")
    store.save(drifting(0, seed=2), step=0, run="b")
    store.delete("a@0")
    preview = store.gc(dry_run=True)
    freed = store.gc(grace_s=0)
    assert freed.freed_bytes >= 2 * 5000 * 4 * 0.7
    assert preview.condemned_bytes <= freed.freed_bytes
    assert_same(store.load("b@0"), drifting(0, seed=2))
    assert_nothing_stray(store)


def test_gc_keeps_bases_of_live_deltas(store):
    for step in range(5):
        store.save(drifting(step), step=step)
    for step in range(4):
        store.delete(f"main@{step}")
    store.gc(grace_s=0)
    assert_same(store.load("main@4"), drifting(4))
    assert store.verify("data").ok
    assert_nothing_stray(store)


def test_gc_with_nothing_to_do_makes_no_root_step(store):
    store.save(drifting(0))
    number = store.stats().root_number
    report = store.gc(grace_s=0)
    assert report.deleted_objects == 0
    assert store.stats().root_number == number


def test_a_chunk_saved_again_after_its_deletion_is_written_anew(store):
    store.save(drifting(0), step=0)
    store.delete("latest")
    store.gc(grace_s=0)
    store.save(drifting(0), step=1)
    assert_same(store.load("latest"), drifting(0))


def test_a_living_writer_that_began_earlier_is_waited_for_not_expired(store):
    store.save(drifting(0), step=0)
    with store._session.repo.writer():
        store.delete("latest")
        report = store.gc(grace_s=0)
        assert report.waiting_writers == 1
        assert report.deleted_objects == 0
    report = store.gc(grace_s=0)
    assert report.waiting_writers == 0
    assert report.freed_bytes > 0
    assert_nothing_stray(store)


def test_expire_writers_does_not_wait_and_the_writer_finds_out(store):
    store.save(drifting(0), step=0)
    with store._session.repo.writer() as writer:
        store.delete("latest")
        assert store.gc(grace_s=0, expire_writers=True).freed_bytes > 0
        with pytest.raises(ckstore.WriterExpired):
            writer.commit(lambda root: root, {})


def test_a_preview_changes_nothing(store):
    store.save(drifting(0), step=0)
    store.delete("latest")
    before = {file: file.read_bytes() for file in Path(store.path).rglob("*") if file.is_file()}
    assert store.gc(dry_run=True).condemned_bytes > 0
    assert before == {file: file.read_bytes() for file in Path(store.path).rglob("*") if file.is_file()}


def test_strays_of_a_dead_writer_go_and_those_of_a_living_one_stay(store):
    store.save(drifting(0), step=0)
    dead = Path(store.path, "pack", "1-00000000000000aa-1")
    dead.write_bytes(b"half a pack")
    Path(store.path, "tmp", "1-00000000000000aa-2").write_bytes(b"a root that never was")
    with store._session.repo.writer() as writer:
        living = Path(store.path, "pack", writer.new_name())
        living.write_bytes(b"being written")
        store.gc(grace_s=0)
        assert living.exists()
    store.gc(grace_s=0)
    assert not dead.exists()
    assert not living.exists()
    assert_nothing_stray(store)


def test_pages_of_a_parent_that_was_deleted_stay_while_a_child_shares_them(store, monkeypatch):
    from ckstore.format import closure, manifest

    monkeypatch.setattr(manifest, "ROWS_PER_PAGE", 1)
    monkeypatch.setattr(closure, "ROWS_PER_PAGE", 2)
    store.save(drifting(0), step=0)
    store.save({**drifting(0), "bias": drifting(5)["bias"]}, step=1)
    head = store._session.repo.objects.manifest(store._session.repo.root().inline[-1].manifest)
    assert any(page.holder for page in head.pages)
    store.delete("main@0")
    store.gc(grace_s=0)
    assert_same(store.load("main@1"), {**drifting(0), "bias": drifting(5)["bias"]})
    assert store.verify("data").ok
    assert_nothing_stray(store)


def test_old_roots_are_trimmed_but_the_newest_hundred_stay(store, monkeypatch):
    monkeypatch.setattr(trim, "KEEP_ROOTS_S", -1.0)
    for step in range(230):
        store.save({"x": step}, step=step)
    store.gc(grace_s=0)
    left = len(os.listdir(f"{store.path}/root"))
    assert 100 <= left <= 110
    store.save({"x": "after"})
    assert store.load("main@3") == {"x": 3}
    assert len(store.checkpoints()) == 231
    assert_nothing_stray(store)
