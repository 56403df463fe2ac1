"""Deleting a checkpoint marks its packs as gone in the segments, and rewrites a segment when half of it is gone."""

from __future__ import annotations

import numpy as np
import pytest

import ckstore
from ckstore.format import segment
from ckstore.format.segment import Segment
from ckstore.store import segments
from tests.support.states import strays
from tests.support.stores import open_store

__all__ = ["open_store"]


def data(step: int) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(step).normal(size=(5, 1024)).astype(np.float32)}


@pytest.fixture
def store(open_store, monkeypatch: pytest.MonkeyPatch) -> ckstore.Store:
    """Five runs of one checkpoint each, in one segment of seven pages."""
    monkeypatch.setattr(segments, "MERGE_FACTOR", 5)
    monkeypatch.setattr(segment, "ROWS_PER_PAGE", 4)
    opened = open_store()
    for step in range(5):
        opened.save(data(step), run=f"run{step}", step=step, parent=None)
    assert len(opened._session.repo.root().segments) == 1
    return opened


def assert_whole(store: ckstore.Store) -> None:
    report = store.verify("data")
    assert report.ok, report
    assert strays(store) == set()


def head_of(store: ckstore.Store) -> tuple[str, Segment]:
    (ref,) = store._session.repo.root().segments
    return ref.name, store._session.repo.objects.segment(ref)


def test_a_segment_of_which_little_is_gone_keeps_its_pages_where_they_are(store: ckstore.Store) -> None:
    old, before = head_of(store)
    store.delete("run0@0")
    store.gc(grace_s=0)
    name, head = head_of(store)
    assert name != old
    assert head.holders == {old}
    assert head.n_gone == head.pack_rows[head.gone[0]] > 0
    assert store.stats().n_chunks == before.n_rows - head.n_gone
    assert_whole(store)


def test_what_is_gone_is_not_found_and_the_rest_is(store: ckstore.Store) -> None:
    store.delete("run0@0")
    store.gc(grace_s=0)
    kept = store.save(data(1), run="again", parent=None)
    anew = store.save(data(0), run="anew", parent=None)
    assert kept.stored_bytes < 10_000 < anew.stored_bytes
    assert np.array_equal(store.load("anew@0")["x"], data(0)["x"])
    assert_whole(store)


def test_marks_add_up_and_a_segment_half_gone_is_written_anew(store: ckstore.Store) -> None:
    old, _ = head_of(store)
    for step in (0, 1):
        store.delete(f"run{step}@{step}")
        store.gc(grace_s=0)
    _, head = head_of(store)
    assert (len(head.gone), head.holders) == (2, {old})
    store.delete("run2@2")
    store.gc(grace_s=0)
    name, head = head_of(store)
    assert (head.gone, head.holders) == ([], set())
    store.gc(grace_s=0)
    assert store._session.repo.fs.names("segment") == [name]
    assert_whole(store)


def test_a_segment_of_which_all_is_gone_goes(store: ckstore.Store) -> None:
    for step in range(5):
        store.delete(f"run{step}@{step}")
    store.gc(grace_s=0)
    store.gc(grace_s=0)
    assert store._session.repo.root().segments == []
    assert store._session.repo.fs.names("segment") == []


def test_segments_with_marks_are_merged_without_what_is_gone(store: ckstore.Store) -> None:
    store.delete("run0@0")
    store.gc(grace_s=0)
    for step in range(5, 5 + 4 * 5):
        store.save(data(step), run=f"run{step}", step=step, parent=None)
    _, head = head_of(store)
    assert head.level == 2
    assert (head.gone, head.holders) == ([], set())
    store.gc(grace_s=0)
    assert len(store._session.repo.fs.names("segment")) == 1
    assert_whole(store)
