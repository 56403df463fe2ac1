"""Savers, readers, edits and other collectors beside a gc that moves frames: nobody loses anything, and all ends."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import pytest

import ckstore
from ckstore.engine import republish
from ckstore.engine.gc import collector, rebase, relocate, repack, support
from ckstore.engine.gc.collector import Waiting
from ckstore.engine.gc.upkeep import Upkeep
from ckstore.engine.reports import GcReport
from tests.support.packs import pack_names, rows_of
from tests.support.states import assert_exact, assert_same, assert_whole_and_tidy, keys, state_of, strays
from tests.support.stores import Killed, before_commit, condemn, dies_at, once, save

KINDS = ["repack", "rebase", "archive"]
ARCHIVE: int | None = None
"""What collect() archives."""


def collect(store: ckstore.Store, **how: bool) -> GcReport:
    """A gc that moves for the least bit of room."""
    upkeep = Upkeep(dead_share=0.01, everywhere=True, archive=ARCHIVE)
    return collector.collect(store._session, Waiting(0, **how), upkeep)


@pytest.fixture(params=KINDS)
def store(open_store, request, monkeypatch):
    """A store in which the first commit of the next gc is that of frames that move."""
    opened = open_store()
    is_fast = request.param == "archive"
    monkeypatch.setattr(sys.modules[__name__], "ARCHIVE", 0 if is_fast else None)
    for step in range(4):
        save(opened, "main", step, level="fast" if is_fast else "balanced")
    for step in {"repack": [1], "rebase": [0, 1], "archive": []}[request.param]:
        opened.delete(f"main@{step}")
    return opened


def test_the_stores_of_these_tests_have_frames_to_move(store, request):
    report = collect(store)
    kind = request.node.callspec.params["store"]
    moved = {"repack": report.repacked_packs, "rebase": report.rebased_frames, "archive": report.archived_frames}
    assert moved[kind] > 0
    assert_whole_and_tidy(store)


def test_a_saver_on_top_of_what_moves_keeps_the_old_place_until_the_next_gc(store, open_store):
    saver = open_store()
    before_commit(saver, lambda: collect(store))
    save(saver, "main", 4)
    old = {row.pack.name for row in rows_of(saver, "main@4")}
    assert old <= pack_names(store)
    assert_same(open_store().load("main@4"), state_of("main", 4))
    collect(store)
    assert_whole_and_tidy(store)


def test_a_save_that_commits_in_between_is_kept_and_keeps_what_it_needs(store, open_store):
    saver = open_store()
    before_commit(store, lambda: save(saver, "main", 4))
    collect(store)
    assert keys(open_store())[-1] == ("main", 4)
    assert_same(open_store().load("main@4"), state_of("main", 4))
    assert_whole_and_tidy(store)


def test_a_reader_whose_pack_goes_takes_the_new_closure(store, open_store):
    reader = open_store()
    repo = reader._session.repo

    def move() -> None:
        assert collect(store).freed_bytes > 0

    once(repo.packs, "read", move)
    assert_same(reader.load("main@3"), state_of("main", 3))
    assert reader.verify("data").ok


def test_two_collectors_that_move_the_same_frames_leave_one_copy(store, open_store):
    other = open_store()
    before_commit(store, lambda: collect(other))
    collect(store)
    assert strays(store) == set()
    assert_whole_and_tidy(store)


@pytest.mark.parametrize("which", [2, 3])
def test_a_checkpoint_deleted_in_between_does_not_come_back(store, open_store, which):
    other = open_store()
    before_commit(store, lambda: other.delete(f"main@{which}"))
    collect(store)
    assert ("main", which) not in keys(store)
    assert_whole_and_tidy(store)


def test_tags_and_notes_made_in_between_stay(store, open_store):
    other = open_store()

    def edit() -> None:
        other.tag("main@3", "best")
        other.annotate("main@2", metrics={"loss": 1.0})

    before_commit(store, edit)
    collect(store)
    assert store.checkpoint("best").step == 3
    assert store.checkpoint("main@2").metrics == {"loss": 1.0}
    assert_whole_and_tidy(store)


def thin_in_between(store: ckstore.Store, other: ckstore.Store) -> tuple[set[bytes], set[bytes]]:
    """The chunks of a checkpoint's closure after it was thinned, and after the collector that did not know of it."""
    thinned: list[set[bytes]] = []

    def thin() -> None:
        other.thin("main@2", "shared")
        thinned.append({row.chunk_id for row in rows_of(other, "main@2")})

    before_commit(store, thin)
    collect(store)
    assert "shared" not in store.load("main@2")
    return thinned[0], {row.chunk_id for row in rows_of(store, "main@2")}


def test_a_checkpoint_thinned_in_between_stays_thinned(store, open_store):
    thinned, found = thin_in_between(store, open_store())
    assert found == thinned
    collect(store)
    assert store.verify("data").ok
    assert strays(store) == set()
    assert_same(store.load("main@3"), state_of("main", 3))


def test_without_the_comparison_the_old_closure_would_come_back(store, open_store, monkeypatch):
    """What the comparison in republish.py is for."""
    monkeypatch.setattr(republish, "unchanged", lambda then, now: True)
    thinned, found = thin_in_between(store, open_store())
    assert found - thinned


def test_a_mover_that_was_given_up_begins_again(store, open_store):
    """Another gc deletes its new packs and closures before it commits."""
    other = open_store()
    before_commit(store, lambda: collect(other, expire_writers=True))
    collect(store)
    assert strays(store) == set()
    assert_whole_and_tidy(store)


def test_a_mover_taken_for_dead_is_rescued_with_its_packs(store, open_store, nobody_lives):
    """Its new objects were condemned, not yet deleted: they are its own, and come back with its commit."""
    other = open_store()
    before_commit(store, lambda: condemn(other))
    collect(store)
    assert_whole_and_tidy(store)


@pytest.mark.parametrize("n_steps", range(6))
@pytest.mark.parametrize("after", [False, True])
def test_a_gc_killed_at_any_root_step_is_finished_by_the_next(n_steps, after, store, open_store):
    """Steps: rebase, repack, condemn, delete, clear, as many as there are; before or after the root was published."""
    victim = open_store()
    dies_at(victim, n_steps, after)
    with suppress(Killed):
        collect(victim)
    save(store, "main", 4)
    collect(store)
    assert strays(store) == set()
    assert_whole_and_tidy(store)


@pytest.fixture
def two_users(open_store):
    """Two checkpoints need half of a pack; whoever wrote it is gone."""
    opened = open_store()
    for run in ("gone", "b", "c"):
        save(opened, run, 0)
    opened.delete("gone@0")
    return opened


def damaged(path: Path) -> None:
    """Flip a bit in the first page."""
    data = bytearray(path.read_bytes())
    data[70] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("who", ["b", "bc"])
@pytest.mark.parametrize(
    ("holder", "step"), [(repack, "_copy"), (relocate.Relocation, "publish")], ids=["copied", "published"]
)
def test_a_closure_that_is_damaged_while_frames_move_keeps_their_old_place(two_users, open_store, holder, step, who):
    """All others move; put back, the damaged one is whole, for its packs are still there."""
    files = [Path(two_users.path, "closure", two_users._resolve(f"{run}@0").closure.name) for run in who]
    before = [file.read_bytes() for file in files]
    old = {run: {row.pack.name for row in rows_of(two_users, f"{run}@0")} for run in "bc"}
    once(holder, step, lambda: [damaged(file) for file in files])
    collect(two_users)
    for file, data in zip(files, before, strict=True):
        assert file.exists()
        file.write_bytes(data)
    again = open_store()
    assert {run: old[run] <= {row.pack.name for row in rows_of(again, f"{run}@0")} for run in "bc"} == {
        "b": True, "c": "c" in who,
    }  # fmt: skip
    assert_exact(again)
    assert collect(again).repacked_packs == 1
    assert_whole_and_tidy(again)


@pytest.mark.parametrize("store", ["rebase"], indirect=True)
@pytest.mark.parametrize(("holder", "step"), [(support, "_tops"), (rebase, "_encode")], ids=["looked for", "encoded"])
def test_a_closure_that_is_damaged_while_bases_go_keeps_its_own(store, open_store, holder, step):
    file = Path(store.path, "closure", store._resolve("main@3").closure.name)
    before, rows = file.read_bytes(), rows_of(store, "main@3")
    once(holder, step, lambda: damaged(file))
    collect(store)
    file.write_bytes(before)
    again = open_store()
    assert rows_of(again, "main@3") == rows
    assert_exact(again)
    collect(again)
    assert_whole_and_tidy(again)
