"""Rebase: deltas lose bases that live only for them where that frees at least what it writes, and change no bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ckstore
from ckstore.codec.chunk import Encoded
from ckstore.engine.gc import frames, rebase
from ckstore.engine.gc.frames import Frames
from ckstore.format import closure, frame, pack
from ckstore.format.frame import RAW
from ckstore.store import reserve
from tests.support.packs import frame_bytes, no_room_in, overwrite, rows_of, spoil
from tests.support.states import strays
from tests.unit.engine.states import CHUNK, assert_same, drifting, mixed


@pytest.fixture
def store(fast_path: Path):
    with ckstore.open(fast_path / "store", create=True, chunk_elements=CHUNK) as opened:
        yield opened


@pytest.fixture
def last_of_six(store):
    """A chain of six of which only the newest is left."""
    for step in range(6):
        store.save(drifting(step), step=step)
    for step in range(5):
        store.delete(f"main@{step}")
    return store


def n_based(store: ckstore.Store, ref: str) -> int:
    """How many rows of a checkpoint have a base."""
    return sum(bool(row.bases) for row in rows_of(store, ref))


def test_the_last_of_a_chain_lets_go_of_all_its_bases(last_of_six):
    planned = last_of_six.gc(dry_run=True)
    before = last_of_six.usage().total_bytes + reserve.RESERVE_BYTES
    report = last_of_six.gc(grace_s=0)
    assert report.rebased_frames == planned.rebased_frames == 5
    assert 0.9 < report.rebased_bytes / planned.rebased_bytes < 1.1
    assert (n_based(last_of_six, "main@5"), len(rows_of(last_of_six, "main@5"))) == (0, 10)
    assert last_of_six.usage().total_bytes < before - planned.support_bytes
    assert_same(last_of_six.load("main@5"), drifting(5))
    assert last_of_six.verify("data").ok
    assert strays(last_of_six) == set()


def test_what_is_on_top_of_a_rebased_frame_stays_a_delta(store):
    for step in range(6):
        store.save(drifting(step), step=step)
    for step in range(4):
        store.delete(f"main@{step}")
    assert store.gc(grace_s=0).rebased_frames == 5
    assert (n_based(store, "main@4"), n_based(store, "main@5")) == (0, 5)
    for step in (4, 5):
        assert_same(store.load(f"main@{step}"), drifting(step))
    store.save(drifting(6), step=6)
    assert_same(store.load("main@6"), drifting(6))
    assert store.verify("data").ok


def test_a_base_of_many_stays_where_it_is_cheaper(store):
    store.save(drifting(0), run="base")
    for step in range(1, 4):
        store.save(drifting(step), run=f"fork{step}", parent="base@0")
    store.delete("base@0")
    planned = store.gc(dry_run=True)
    assert planned.support_bytes > 0
    assert store.gc(grace_s=0).rebased_frames == planned.rebased_frames == 0
    for step in range(1, 4):
        assert n_based(store, f"fork{step}@0") == 5
    store.delete("fork1@0")
    store.delete("fork2@0")
    assert store.gc(grace_s=0).rebased_frames == 5
    assert_same(store.load("fork3@0"), drifting(3))


def test_a_rounding_stands_alone_when_its_master_goes(store):
    store.save(mixed(0), step=0)
    store.save(mixed(1), step=1)
    store.thin("main@1", drop="master")
    store.delete("main@0")
    assert n_based(store, "main@1") > 0
    assert store.gc(grace_s=0).rebased_frames > 0
    assert n_based(store, "main@1") == 0
    assert_same(store.load("main@1"), {"model": mixed(1)["model"]})
    assert store.verify("data").ok
    assert strays(store) == set()


def test_pages_without_the_dropped_rows_are_shared_again(store, monkeypatch):
    monkeypatch.setattr(closure, "ROWS_PER_PAGE", 2)
    for step in range(6):
        store.save({**drifting(step), "note": np.arange(2000 + step)}, step=step)
    for step in range(3):
        store.delete(f"main@{step}")
    store.gc(grace_s=0)
    held = [len(store._session.repo.objects.closure(store._resolve(f"main@{step}").closure).holders) for step in (3, 4)]
    assert held[1] > 0
    store.delete("main@3")
    store.gc(grace_s=0)
    for step in (4, 5):
        assert_same(store.load(f"main@{step}"), {**drifting(step), "note": np.arange(2000 + step)})
    assert store.verify("data").ok
    assert strays(store) == set()


def test_nothing_is_looked_into_where_no_checkpoint_went(store, monkeypatch):
    """The cost of a gc with nothing to do must not grow with the chunks of a store."""
    for step in range(3):
        store.save(drifting(step), step=step)
    store.delete("main@1")
    store.gc(grace_s=0)
    monkeypatch.setattr(frames, "read", lambda *_: pytest.fail("rows were read"))
    store.gc(grace_s=0)
    store.save({"other": np.arange(5000)}, run="alone")
    store.delete("alone@0")
    assert store.gc(grace_s=0).freed_bytes > 0


def test_an_emergency_leaves_the_look_to_the_next_gc(last_of_six):
    assert last_of_six.gc(grace_s=0, emergency=True).rebased_frames == 0
    assert last_of_six.gc(grace_s=0).rebased_frames == 5
    assert reserve.is_whole(last_of_six._session.repo.fs)
    assert_same(last_of_six.load("main@5"), drifting(5))


@pytest.mark.parametrize("everywhere", [True, False], ids=["first gc", "later gc"])
def test_a_damaged_closure_of_the_dead_is_no_trouble(last_of_six, everywhere):
    """It would have told where to look: then every pack is looked into, as by the first gc of a store."""
    if not everywhere:
        reserve.make(last_of_six._session.repo.fs)
    live = last_of_six._resolve("main@5").closure.name
    for path in Path(last_of_six.path, "closure").iterdir():
        if path.name != live:
            path.write_bytes(b"")
    assert last_of_six.gc(grace_s=0).rebased_frames == 5


def test_a_group_that_turns_out_too_dear_stays(store, monkeypatch):
    """The estimate said that it would be cheap."""
    store.save(drifting(0), run="base")
    for step in range(1, 4):
        store.save(drifting(step), run=f"fork{step}", parent="base@0")
    store.delete("base@0")
    before = rows_of(store, "fork1@0")
    monkeypatch.setattr(Frames, "alone_bytes", lambda rows: np.ones(len(rows.keys), np.int64))
    assert store.gc(dry_run=True).rebased_frames == 15
    assert store.gc(grace_s=0).rebased_frames == 0
    assert rows_of(store, "fork1@0") == before
    assert strays(store) == set()


def test_what_does_not_decode_to_what_it_was_is_not_published(last_of_six, monkeypatch):
    """incident B11: an encoder that writes wrong bytes."""

    def wrong(data, dtype, *_):
        data = bytearray(data)
        data[17] ^= 1
        return Encoded(RAW, b"", memoryview(data), ())

    monkeypatch.setattr(rebase, "encode", wrong)
    before = rows_of(last_of_six, "main@5")
    report = last_of_six.gc(grace_s=0)
    assert (report.rebased_frames, len(report.unmovable)) == (0, 5)
    assert "does not decode" in report.unmovable[0]
    assert rows_of(last_of_six, "main@5") == before
    assert_same(last_of_six.load("main@5"), drifting(5))


def test_a_damaged_base_keeps_its_group_and_no_other(last_of_six):
    rows = rows_of(last_of_six, "main@5")
    spoil(last_of_six, next(row for row in rows if any(rows.index(row) in other.bases for other in rows)))
    report = last_of_six.gc(grace_s=0)
    assert report.rebased_frames == 4
    assert n_based(last_of_six, "main@5") == 5
    assert report.unmovable
    assert strays(last_of_six) == set()


def test_a_group_of_which_one_frame_is_damaged_stays_as_a_whole(store):
    """Else its bases would stay all the same, and what was written would be for nothing."""
    for step in range(5):
        store.save(drifting(step), run="base", step=step)
    for step in (5, 6):
        store.save(drifting(step), run=f"fork{step}", parent="base@4")
    for step in range(5):
        store.delete(f"base@{step}")
    spoil(store, next(row for row in rows_of(store, "fork5@0")[::-1] if row.bases))
    report = store.gc(grace_s=0)
    assert (report.rebased_frames, n_based(store, "fork6@0") > 0) == (8, True)
    assert_same(store.load("fork6@0"), drifting(6))


def test_no_more_is_encoded_than_was_allowed_and_the_next_gc_finds_the_rest(last_of_six):
    one = max(row.frame_bytes for row in rows_of(last_of_six, "main@5"))
    assert last_of_six.gc(grace_s=0, max_repack_bytes=0).rebased_frames == 0
    assert last_of_six.gc(grace_s=0, max_repack_bytes=int(2.5 * one)).rebased_frames == 2
    assert_same(last_of_six.load("main@5"), drifting(5))
    assert last_of_six.gc(grace_s=0).rebased_frames == 3
    assert_same(last_of_six.load("main@5"), drifting(5))
    assert last_of_six.verify("data").ok


def test_a_disk_without_room_leaves_the_look_to_the_next_gc(last_of_six):
    with no_room_in("pack").installed():
        assert "No space left" in last_of_six.gc(grace_s=0).stopped
    assert last_of_six.gc(grace_s=0).rebased_frames == 5


def test_a_base_with_good_checks_that_holds_other_bytes_keeps_its_group(last_of_six):
    """Only the id of the chunk on top tells; what came out may not be encoded anew under it."""
    rows = rows_of(last_of_six, "main@5")
    row = next(row for row in rows if not row.bases and any(rows.index(row) in other.bases for other in rows))
    good = frame.parse(memoryview(frame_bytes(last_of_six, row)), "frame")
    payload = bytearray(good.payload)
    payload[len(payload) // 2] ^= 1  # in a plane that is stored as it is
    lying = pack.packed(replace(good, payload=bytes(payload)))
    overwrite(last_of_six, row, lying.front + bytes(payload))
    report = last_of_six.gc(grace_s=0)
    assert report.rebased_frames == 4
    assert report.unmovable
    assert all(told.endswith("decoded bytes do not match their BLAKE3 id") for told in report.unmovable)
    assert n_based(last_of_six, "main@5") == 5
    assert strays(last_of_six) == set()
