"""gc(dry_run=True): what deleting each checkpoint would do, compared with sets of rows and with doing it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import ckstore
from ckstore.engine.gc import frames
from ckstore.engine.gc.relocate import chunk_ids
from ckstore.format.closure import Row
from tests.support.packs import rows_of
from tests.unit.engine.states import CHUNK, drifting


@pytest.fixture
def store(fast_path: Path):
    """Two runs, a fork, a chunk that is another's base, and one deleted checkpoint that still supports others."""
    with ckstore.open(fast_path / "store", create=True, chunk_elements=CHUNK) as opened:
        for step in range(4):
            opened.save(drifting(step), step=step)
        for step in range(2):
            opened.save({**drifting(7 + step), "more": np.arange(3000)}, run="fork", step=step, parent="main@2")
        opened.save(drifting(3), run="copy", parent=None)
        opened.delete("main@1")
        yield opened


def frames_of(store: ckstore.Store, ref: str) -> tuple[dict[tuple[str, int], Row], set[tuple[str, int]]]:
    """(rows of a checkpoint by place, the places of those its manifest names)."""
    rows = {(row.pack.name, row.offset): row for row in rows_of(store, ref)}
    named = chunk_ids(store._session.repo, store._resolve(ref))
    return rows, {place for place, row in rows.items() if row.chunk_id in named}


def naive_support(store: ckstore.Store, ref: str) -> int:
    """Bytes of the frames that only this manifest names and that another closure lists."""
    others = [frames_of(store, ck.ref) for ck in store.checkpoints() if ck.ref != ref]
    rows, named = frames_of(store, ref)
    named = named - {place for _, theirs in others for place in theirs}
    return sum(rows[place].frame_bytes for place in named if any(place in theirs for theirs, _ in others))


def test_support_is_what_others_keep_of_a_checkpoint(store):
    plans = store.gc(dry_run=True).checkpoints
    assert [plan.ref for plan in plans] == [ck.ref for ck in store.checkpoints()]
    assert [plan.support_bytes for plan in plans] == [naive_support(store, ck.ref) for ck in store.checkpoints()]
    assert sum(plan.support_bytes > 0 for plan in plans) >= 2
    assert [plan.rebase_bytes > 0 for plan in plans] == [plan.support_bytes > 0 for plan in plans]


def alone_bytes(rows: list[Row], row: Row) -> int:
    """What a row may take without bases: as the frame at the bottom of its chain."""
    bottom = row
    while bottom.bases:
        bottom = rows[bottom.bases[0]]
    return min(max(row.frame_bytes, bottom.frame_bytes), row.logical_bytes)


def naive_rebase(store: ckstore.Store, ref: str) -> int:
    """What all frames take alone that lie directly on top of this checkpoint's support."""
    others = [(rows_of(store, ck.ref), frames_of(store, ck.ref)[1]) for ck in store.checkpoints() if ck.ref != ref]
    mine = frames_of(store, ref)[1] - {place for _, named in others for place in named}
    tops = {
        (row.pack.name, row.offset): alone_bytes(rows, row)
        for rows, _ in others
        for row in rows
        if any((rows[base].pack.name, rows[base].offset) in mine for base in row.bases)
    }
    return sum(n_bytes for place, n_bytes in tops.items() if place not in mine)


def test_the_cost_to_rebase_counts_each_frame_on_top_once(store):
    plans = store.gc(dry_run=True).checkpoints
    assert [plan.rebase_bytes for plan in plans] == [naive_rebase(store, ck.ref) for ck in store.checkpoints()]


def test_what_is_support_now_is_told_in_all(store):
    every = [frames_of(store, ck.ref) for ck in store.checkpoints()]
    named = {place for _, mine in every for place in mine}
    held = {place: row.frame_bytes for rows, _ in every for place, row in rows.items() if place not in named}
    assert store.gc(dry_run=True).support_bytes == sum(held.values()) > 0


def test_freed_is_what_deleting_each_alone_frees(store, fast_path):
    store.gc(grace_s=0, max_repack_bytes=0)
    for plan in store.gc(dry_run=True).checkpoints:
        copy = fast_path / "copy"
        shutil.copytree(store.path, copy)
        with ckstore.open(copy) as other:
            other.delete(plan.id)
            report = other.gc(grace_s=0, max_repack_bytes=0)
        shutil.rmtree(copy)
        serving = report.freed_bytes - plan.freed_bytes  # segments that name a dead pack are written anew
        assert 0 <= serving < 4000, plan


def test_the_cost_to_rebase_is_about_what_it_takes(store):
    store.gc(grace_s=0)
    plan = next(plan for plan in store.gc(dry_run=True).checkpoints if plan.ref == "main@0")
    store.delete("main@0")
    report = store.gc(grace_s=0)
    assert report.rebased_frames == 0 or 0.9 < report.rebased_bytes / plan.rebase_bytes < 1.1
    assert plan.rebase_bytes >= plan.support_bytes or report.rebased_frames > 0


def test_a_checkpoint_that_cannot_be_read_is_told_and_the_others_are_judged(store):
    path = Path(store.path, "manifest", store._resolve("main@3").manifest.name)
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    plans = store.gc(dry_run=True).checkpoints
    assert [plan.ref for plan in plans if plan.damaged] == ["main@3"]
    assert any(plan.support_bytes for plan in plans)


def test_an_empty_store_has_no_checkpoints_to_judge(fast_path):
    with ckstore.open(fast_path / "empty", create=True) as empty:
        assert empty.gc(dry_run=True).checkpoints == []


def test_progress_is_told(store):
    seen: list[str] = []
    store.gc(dry_run=True, progress=lambda done, total, what: seen.append(what))
    assert len(set(seen)) == 3


def test_a_forecast_says_the_same_where_the_frames_do_not_fit_in_memory_at_once(store, monkeypatch):
    before = store.gc(dry_run=True)
    monkeypatch.setattr(frames, "_COMPACT_KEYS", 3)
    assert store.gc(dry_run=True) == before
