"""gc and keep beside savers that are always first: what is tried again costs little, so that they get their turn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ckstore
from ckstore import Keep
from ckstore.engine import catalog, reach
from ckstore.engine.gc import collector
from ckstore.format.names import CATALOG, SEGMENT
from ckstore.store import segments
from ckstore.store.writer import Writer
from tests.support.states import keys, strays
from tests.support.stores import Open, before_commit, condemn, save

N_LOST = 4


@pytest.fixture
def merged(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> ckstore.Store:
    """Three checkpoints that share nothing, in one segment."""
    monkeypatch.setattr(segments, "MERGE_FACTOR", 3)
    store = open_store()
    for step in range(3):
        noise = np.random.default_rng(step).normal(size=3000)
        store.save({"x": noise}, run=f"run{step}", step=step, parent=None)
    monkeypatch.setattr(segments, "MERGE_FACTOR", 8)
    store.gc(grace_s=0)
    assert len(store._session.repo.root().segments) == 1
    return store


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The checkpoints of which it was read what they need, in order."""
    refs, of_entry = [], reach.of_entry

    def noted(repo, entry):
        refs.append(reach.ref_of(entry))
        return of_entry(repo, entry)

    monkeypatch.setattr(reach, "of_entry", noted)
    return refs


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Writer and kind of every object but roots, in order."""
    made, put = [], Writer.put

    def noted(self, kind, *args):
        made.append((self.name, kind))
        return put(self, kind, *args)

    monkeypatch.setattr(Writer, "put", noted)
    return made


def loses_races(store: ckstore.Store, other: ckstore.Store, read: list[str]) -> None:
    """At each of its first root steps another saver is first; what was read before is forgotten."""
    roots, left = store._session.repo.roots, [N_LOST]
    publish = roots.publish

    def late(root, temporary):
        if left[0] == N_LOST:
            read.clear()
        if left[0]:
            left[0] -= 1
            save(other, "busy", left[0])
        return publish(root, temporary)

    roots.publish = late


def test_a_gc_that_loses_races_reads_what_is_new_and_writes_nothing_twice(merged, open_store, read, written):
    other = open_store()
    merged.delete("run0@0")
    written.clear()
    loses_races(merged, other, read)
    assert merged.gc(grace_s=0).deleted_objects > 0
    assert sorted(read) == sorted(f"busy@{step}" for step in range(N_LOST))
    assert [kind for _, kind in written].count(SEGMENT) == N_LOST + 1  # one of each save, and one without what is gone
    assert strays(merged) == set()
    assert open_store().verify("data").ok


def test_a_gc_of_many_batches_looks_around_once(merged, read, written, monkeypatch):
    """So that its work grows with what it deletes, not with its square."""
    monkeypatch.setattr(collector, "CONDEMNED_BYTES", 600)
    listings, on_disk = [], reach.on_disk
    monkeypatch.setattr(reach, "on_disk", lambda repo: (listings.append(repo), on_disk(repo))[1])
    for n in range(60):  # in order of names they come between the packs of the two
        Path(merged.path, "pack", f"1-ffffffffffffffff-{n}").write_bytes(b"stray")
    for ref in ("run0@0", "run1@1"):
        merged.delete(ref)
    number = merged._session.repo.root().number
    written.clear()
    assert merged.gc(grace_s=0, max_repack_bytes=0).deleted_objects > 60
    assert merged._session.repo.root().number >= number + 3 * 4
    assert len(listings) == 2  # for what is to be moved, then for what is dead
    assert read == 2 * ["run2@2"]
    assert [kind for _, kind in written] == [SEGMENT]
    assert strays(merged) == set()


def test_a_saver_whose_parent_lost_its_pack_to_a_later_batch_saves_again(merged, open_store, monkeypatch):
    """No segment names it any more, and nobody has condemned it yet: there is nothing to rescue."""
    monkeypatch.setattr(collector, "CONDEMNED_BYTES", 600)
    for n in range(60):
        Path(merged.path, "pack", f"1-ffffffffffffffff-{n}").write_bytes(b"stray")
    saver, state = open_store(), merged.load("run1@1")
    (use,) = merged._session.repo.objects.closure(merged._resolve("run1@1").closure).packs

    def begin_to_delete() -> None:
        merged.delete("run1@1")
        condemn(merged)
        root = merged._session.repo.root()
        assert use.name not in merged._session.repo.segments.live_packs(root)
        assert use.name not in {item.name for item in root.condemned}

    before_commit(saver, begin_to_delete)
    saver.save({**state, "more": np.zeros(3000)}, run="run1", step=2)
    merged.gc(grace_s=0)
    assert use.name not in merged._session.repo.fs.names("pack")
    assert np.array_equal(open_store().load("run1@2")["x"], state["x"])
    assert open_store().verify("data").ok


def test_what_dies_between_two_batches_is_left_to_the_next_gc(merged, open_store, monkeypatch):
    monkeypatch.setattr(collector, "CONDEMNED_BYTES", 600)
    other, release = open_store(), collector._release
    for n in range(30):
        Path(merged.path, "pack", f"1-00000000000000aa-{n}").write_bytes(b"stray")

    def late(*args):
        monkeypatch.setattr(collector, "_release", release)
        other.delete("run0@0")
        save(other, "busy", 0)
        return release(*args)

    monkeypatch.setattr(collector, "_release", late)
    assert merged.gc(grace_s=0).deleted_objects == 30
    assert keys(merged) == [("run1", 1), ("run2", 2), ("busy", 0)]
    assert merged.gc(grace_s=0).deleted_objects > 0
    assert strays(merged) == set()
    assert merged.verify("data").ok


def test_a_keep_that_loses_races_reads_what_is_new_and_writes_nothing_twice(open_store, read, written, monkeypatch):
    monkeypatch.setattr(catalog, "INLINE_ENTRIES", 2)
    store, other = open_store(), open_store()
    for step in range(6):
        save(store, "main", step)
    (page,) = store._session.repo.root().catalog
    monkeypatch.setattr(catalog, "INLINE_ENTRIES", 32)
    loses_races(store, other, read)
    written.clear()
    store.keep(Keep(every=2, run="main"))
    assert sorted(read) == sorted(f"busy@{step}" for step in range(N_LOST))
    assert page.n_entries > 2
    assert [kind for _, kind in written].count(CATALOG) == 1
    assert [step for run, step in keys(store) if run == "main"] == [0, 2, 4, 5]
    assert open_store().verify("data").ok
