"""Repack: what is live of mostly dead packs moves, exactly as it is, and everything else stays where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ckstore
from ckstore.engine.gc import collector, repack
from ckstore.engine.gc.collector import Waiting
from ckstore.engine.gc.upkeep import Upkeep
from ckstore.format import closure, frame, pack
from tests.support.packs import frame_bytes, no_room_in, overwrite, pack_names, rows_of, spoil
from tests.support.states import strays
from tests.unit.engine.states import CHUNK, assert_same, drifting


def noise(seed: int, n: int = 20_000) -> np.ndarray:
    """A tensor of twenty chunks."""
    return np.random.default_rng(seed).normal(size=n).astype("f4")


@pytest.fixture
def store(fast_path: Path):
    with ckstore.open(fast_path / "store", create=True, chunk_elements=CHUNK) as opened:
        yield opened


@pytest.fixture
def half_dead(store):
    """b@0 needs half of the pack that a@0 wrote; a@0 is gone."""
    store.save({"x": noise(1), "y": noise(2)}, run="a", step=0)
    store.save({"x": noise(1), "z": noise(3)}, run="b", step=0)
    store.delete("a@0")
    return store


def aggressive(store: ckstore.Store, **how: Any) -> Any:
    """A gc that moves for the least bit of room."""
    return collector.collect(store._session, Waiting(0), Upkeep(**{"dead_share": 0.01, **how}))


def test_the_live_half_of_a_pack_moves_and_the_pack_goes(half_dead):
    before, old = pack_names(half_dead), rows_of(half_dead, "b@0")
    planned = half_dead.gc(dry_run=True)
    report = half_dead.gc(grace_s=0)
    assert (report.repacked_packs, planned.repacked_packs) == (1, 1)
    assert report.repacked_bytes == sum(row.frame_bytes for row in old[:20])
    assert report.freed_bytes > planned.condemned_bytes + planned.repack_frees_bytes > 70_000
    assert len(pack_names(half_dead)) == 2
    assert len(pack_names(half_dead) & before) == 1
    assert_same(half_dead.load("b@0"), {"x": noise(1), "z": noise(3)})
    assert half_dead.verify("data").ok
    assert strays(half_dead) == set()


def test_frames_are_moved_byte_for_byte_and_nothing_else_changes(half_dead):
    before = rows_of(half_dead, "b@0")
    bytes_before = [frame_bytes(half_dead, row) for row in before]
    entry = half_dead.checkpoint("b@0")
    half_dead.gc(grace_s=0)
    after = rows_of(half_dead, "b@0")
    assert [row.chunk_id for row in after] == [row.chunk_id for row in before]
    assert [frame_bytes(half_dead, row) for row in after] == bytes_before
    assert half_dead.checkpoint("b@0") == entry


def test_a_second_gc_has_nothing_to_move_and_makes_no_root_step(half_dead):
    half_dead.gc(grace_s=0)
    number = half_dead.stats().root_number
    assert (half_dead.gc(grace_s=0).repacked_packs, half_dead.stats().root_number) == (0, number)


def test_a_chunk_that_moved_is_found_by_its_id(half_dead):
    half_dead.gc(grace_s=0)
    assert half_dead.save({"again": noise(1)}, run="c").stored_bytes < 10_000
    assert_same(half_dead.load("c@0"), {"again": noise(1)})


def test_a_pack_of_which_little_is_dead_stays(store):
    store.save({"x": noise(1), "y": noise(2, 5000)}, run="a", step=0)
    store.save({"x": noise(1)}, run="b", step=0)
    store.delete("a@0")
    assert store.gc(grace_s=0).repacked_packs == 0
    assert aggressive(store).repacked_packs == 1
    assert_same(store.load("b@0"), {"x": noise(1)})
    assert aggressive(store).repacked_packs == 0


def test_the_table_of_a_pack_of_small_frames_does_not_count_as_dead(store):
    """Else such a pack would be repacked by every gc: its table takes a third of it."""
    store.save({f"n{i}": np.full(2000, i, "f4") for i in range(100)}, run="a")
    (name,) = pack_names(store)
    used = sum(row.frame_bytes for row in rows_of(store, "a@0"))
    assert used < 0.7 * Path(store.path, "pack", name).stat().st_size
    assert aggressive(store).repacked_packs == 0


def test_the_uses_of_several_checkpoints_add_up(store):
    """Each of five needs a fifth of the pack; together they need all of it."""
    state = {name: noise(i) for i, name in enumerate("vwxyz")}
    store.save(state, run="all", step=0)
    for name, value in state.items():
        store.save({name: value}, run=name, step=0)
    store.delete("all@0")
    assert aggressive(store).repacked_packs == 0
    store.delete("v@0")
    assert store.gc(grace_s=0).repacked_packs == 0
    store.delete("w@0")
    assert store.gc(grace_s=0).repacked_packs == 1
    for name in "xyz":
        assert_same(store.load(f"{name}@0"), {name: state[name]})


def test_deltas_move_with_or_without_their_bases(store):
    for step in range(4):
        store.save({**drifting(step), "only": noise(step + 10)}, step=step)
    store.delete("main@1")
    store.delete("main@2")
    report = aggressive(store)
    assert report.repacked_packs == 2
    assert_same(store.load("main@3"), {**drifting(3), "only": noise(13)})
    assert store.verify("data").ok
    assert strays(store) == set()


def test_pages_that_checkpoints_share_are_shared_again(store, monkeypatch):
    monkeypatch.setattr(closure, "ROWS_PER_PAGE", 4)
    store.save({"x": noise(1), "y": noise(2)}, run="a", step=0)
    for step in range(3):
        store.save({"x": noise(1), "z": noise(3), "w": noise(4 + step, 2000)}, run="b", step=step)
    store.delete("a@0")
    assert store.gc(grace_s=0).repacked_packs == 1
    sizes = [store._resolve(f"b@{step}").closure.n_bytes for step in range(3)]
    assert sizes[1] < 0.7 * sizes[0]
    store.delete("b@0")
    store.gc(grace_s=0)
    assert_same(store.load("b@2"), {"x": noise(1), "z": noise(3), "w": noise(6, 2000)})
    assert store.verify("data").ok


def test_entries_in_pages_of_the_catalog_are_changed_too(half_dead):
    for step in range(40):
        half_dead.save({"x": noise(1), "n": step}, run="many", step=step)
    assert half_dead._session.repo.root().catalog
    half_dead.gc(grace_s=0)
    for step in range(40):
        assert_same(half_dead.load(f"many@{step}", select="x"), {"x": noise(1)})
    assert half_dead.verify("data").ok
    assert strays(half_dead) == set()


def test_a_damaged_frame_keeps_its_pack_and_is_reported(half_dead):
    """incident B12: a repack must not move what does not decode to its chunk."""
    before = rows_of(half_dead, "b@0")
    row = before[3]
    spoil(half_dead, row)
    report = half_dead.gc(grace_s=0)
    assert report.repacked_packs == 0
    assert [told.split(":")[0] for told in report.unmovable] == [f"pack {row.pack.name}"]
    assert rows_of(half_dead, "b@0") == before
    assert strays(half_dead) == set()
    assert [damage.object for damage in half_dead.verify("stored").damages] == [
        f"pack {row.pack.name}, frame at {row.offset}"
    ]


def test_a_frame_with_good_checks_that_holds_another_chunk_is_not_moved(half_dead):
    """incident B12: only the chunk's id tells."""
    row, other = rows_of(half_dead, "b@0")[3:5]
    good = frame.parse(memoryview(frame_bytes(half_dead, other)), "frame")
    lying = pack.packed(frame.Frame(good.codec, row.chunk_id, good.logical_bytes, (), good.params, good.payload))
    data = lying.front + bytes(good.payload)
    overwrite(half_dead, row, data + frame_bytes(half_dead, row)[len(data) :])
    report = half_dead.gc(grace_s=0)
    assert report.repacked_packs == 0
    assert len(report.unmovable) == 1


def test_a_damaged_page_of_a_closure_keeps_its_packs_and_gc_goes_on(half_dead):
    half_dead.save({"more": noise(7)}, run="c")
    half_dead.delete("c@0")
    path = Path(half_dead.path, "closure", half_dead._resolve("b@0").closure.name)
    data = bytearray(path.read_bytes())
    data[70] ^= 1
    path.write_bytes(data)
    report = half_dead.gc(grace_s=0)
    assert report.repacked_packs == 0
    assert report.freed_bytes > 60_000
    (plan,) = half_dead.gc(dry_run=True).checkpoints
    assert plan.damaged


@pytest.mark.parametrize("most", [0, 1000])
def test_no_more_is_moved_than_was_allowed(half_dead, most):
    report = half_dead.gc(grace_s=0, max_repack_bytes=most)
    assert (report.repacked_packs, report.stopped) == (0, "")
    assert half_dead.gc(dry_run=True, max_repack_bytes=most).repacked_packs == 0
    assert half_dead.gc(grace_s=0, max_repack_bytes=100_000).repacked_packs == 1


@pytest.mark.parametrize("most", [-1, 1.5, "all", True])
def test_an_impossible_limit_is_refused(store, most):
    with pytest.raises(ckstore.UsageError, match="max_repack_bytes"):
        store.gc(max_repack_bytes=most)


def test_the_pack_with_most_to_free_comes_first(store):
    store.save({"x": noise(1), "y": noise(2)}, run="a", step=0)
    store.save({"x": noise(1), "z": noise(3, 60_000), "y2": noise(4)}, run="b", step=0)
    store.save({"x": noise(1), "y2": noise(4)}, run="c", step=0)
    store.delete("a@0")
    store.delete("b@0")
    worst = rows_of(store, "c@0")[20].pack.name
    choice = repack.choose(store._session.repo, store._session.repo.root(), Upkeep(max_bytes=75_000))
    assert choice.packs == {worst}
    assert len(repack.choose(store._session.repo, store._session.repo.root(), Upkeep()).packs) == 2


@pytest.mark.parametrize("directory", ["pack", "closure"])
def test_a_disk_without_room_for_copies_stops_the_repack_and_not_the_gc(half_dead, directory):
    half_dead.save({"more": noise(7)}, run="c")
    half_dead.delete("c@0")
    door = no_room_in(directory)
    with door.installed():
        report = half_dead.gc(grace_s=0)
    assert door.refused
    assert "No space left" in report.stopped
    assert report.repacked_packs == 0
    assert report.freed_bytes > 60_000
    assert strays(half_dead) == set()
    assert half_dead.gc(grace_s=0).repacked_packs == 1


def test_progress_is_told(half_dead):
    seen: list[tuple[int, int, str]] = []
    half_dead.gc(grace_s=0, progress=lambda *step: seen.append(step))
    moved = [(done, total) for done, total, what in seen if what == "moving live frames"]
    assert len(moved) == 20
    assert all(0 < done <= total for done, total in moved)
    assert any(what == "deleting" and total > 0 for _, total, what in seen)
