"""gc(archive=N) that is interrupted, or finds damage or a full disk: nothing is lost, and the next one goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

import ckstore
from ckstore.codec.chunk import Encoded
from ckstore.engine.gc import archive, recode, tried
from ckstore.errors import UsageError
from ckstore.format.frame import RAW
from ckstore.store.reserve import RESERVE_BYTES
from tests.support.packs import no_room_in, pack_bytes, pack_names, packs_of, rows_of, spoil
from tests.support.states import assert_exact, assert_whole_and_tidy, strays
from tests.support.stores import N_FAST

N = N_FAST


@pytest.fixture
def store(fast_store: ckstore.Store) -> ckstore.Store:
    return fast_store


def test_a_gc_that_was_interrupted_goes_on_where_it_was(store, monkeypatch):
    monkeypatch.setattr(archive, "BATCH_BYTES", 1)
    n_batches = 0

    def stop(done: int, total: int, what: str) -> None:
        nonlocal n_batches
        n_batches += "archive" in what
        assert done <= total
        if n_batches == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.gc(grace_s=0, archive=0, progress=stop)
    assert_exact(store)
    n_noted = sum(tried.is_noted(store._resolve(ck)) for ck in store.checkpoints())
    assert 0 < n_noted < N + 1
    assert store.gc(grace_s=0, archive=0).archive_checkpoints == N + 1 - n_noted
    assert_whole_and_tidy(store)
    assert_exact(store)


def test_each_batch_is_freed_before_the_next(store, monkeypatch):
    monkeypatch.setattr(archive, "BATCH_BYTES", 1)
    before, most = pack_bytes(store), 0

    def look(*_: object) -> None:
        nonlocal most
        most = max(most, pack_bytes(store))

    assert store.gc(grace_s=0, archive=0, progress=look).archive_checkpoints == N + 1
    assert most < before + 20_000
    assert_whole_and_tidy(store)


def test_a_damaged_frame_keeps_its_pack_and_no_other(store):
    rows = rows_of(store, f"main@{N - 1}")
    others = {row.chunk_id for step in range(N - 1) for row in rows_of(store, f"main@{step}")}
    is_base = {base for row in rows for base in row.bases}
    row = next(row for i, row in enumerate(rows) if i not in is_base and row.chunk_id not in others)
    spoil(store, row)
    mine = [other for other in rows if other.pack.name == row.pack.name]
    report = store.gc(grace_s=0, archive=0)
    assert [f"frame at {row.offset}" in said for said in report.unmovable] == [True]
    assert row.pack.name in pack_names(store)
    assert report.archived_frames > 0
    assert strays(store) == set()
    assert len(mine) > 1
    assert set(mine) <= set(rows_of(store, f"main@{N - 1}")), "a pack that stays anyway is copied for nothing"


def test_a_checkpoint_that_cannot_be_read_keeps_its_packs(store):
    path = Path(store.path, "closure", store._resolve("main@2").closure.name)
    data = path.read_bytes()
    path.write_bytes(data[:70] + bytes([data[70] ^ 1]) + data[71:])
    with ckstore.open(store.path) as again:
        old = packs_of(again, "main@1") | packs_of(again, "main@0")
        before = pack_bytes(again)
        again.gc(grace_s=0, archive=0)
        assert old <= pack_names(again)
        assert pack_bytes(again) <= before, "a pack that stays anyway is copied for nothing"
        path.write_bytes(data)
    with ckstore.open(store.path) as again:
        assert_exact(again)
        again.gc(grace_s=0, archive=0)
        assert_whole_and_tidy(again)


def test_what_does_not_decode_to_what_it_was_is_not_published(store, monkeypatch):
    """incident B11: an encoder that writes wrong bytes."""

    def too_short(data, *_):
        return Encoded(RAW, b"", memoryview(bytes(len(data) // 2)), ())

    def backwards(data, *how):
        return honest(memoryview(bytes(reversed(bytes(data)))), *how)

    honest, before = recode.encode, rows_of(store, "main@0")
    for wrong in (too_short, backwards):
        monkeypatch.setattr(recode, "encode", wrong)
        report = store.gc(grace_s=0, archive=0)
        assert (report.archived_frames, bool(report.unmovable)) == (0, True)
        assert rows_of(store, "main@0") == before
        monkeypatch.setattr(tried, "GENERATION", tried.GENERATION + 1)
    assert_exact(store)


def test_a_disk_without_room_stops_it_and_loses_nothing(store):
    with no_room_in("pack").installed():
        report = store.gc(grace_s=0, archive=0)
    assert (bool(report.stopped), report.archive_checkpoints, report.archived_frames) == (True, 0, 0)
    assert_whole_and_tidy(store)
    assert store.gc(grace_s=0, archive=0).archived_frames > 0


def test_it_writes_no_more_than_it_may(store):
    assert store.gc(grace_s=0, archive=0, max_repack_bytes=0).archive_checkpoints == 0
    report = store.gc(grace_s=0, archive=0, max_repack_bytes=20_000)
    assert 0 < report.archived_bytes <= 20_000
    assert 0 < report.archive_checkpoints < N + 1


@pytest.mark.parametrize("wrong", [-1, 1.5, "2", True])
def test_how_many_stay_is_a_whole_number(store, wrong):
    with pytest.raises(UsageError, match="archive"):
        store.gc(archive=wrong)


def test_an_emergency_writes_nothing_for_it(store):
    with pytest.raises(UsageError, match="emergency"):
        store.gc(emergency=True, archive=0)
    assert store.usage().total_bytes > RESERVE_BYTES // 2
