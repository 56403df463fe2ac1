"""The reserve: made by a large save or a gc, and again by a gc, of no meaning to anybody."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

import ckstore
from ckstore.engine import save
from ckstore.store import reserve as reserves
from ckstore.store.fs import LocalFs
from ckstore.store.reserve import RESERVE, RESERVE_BYTES, SHORT_BYTES
from tests.support.faults import Fault, FaultDoor
from tests.support.stores import once


@pytest.fixture
def reserve(store_path: str) -> Path:
    with ckstore.open(store_path, create=True) as store:
        store.gc(grace_s=0)
    return Path(store_path, RESERVE)


def gc(reserve: Path, **how: bool) -> None:
    with ckstore.open(reserve.parent) as store:
        store.gc(grace_s=0, **how)


def test_a_save_of_a_full_pack_makes_one_and_a_small_save_none(store_path, monkeypatch):
    monkeypatch.setattr(save, "PACK_BYTES", 10_000)
    noise = np.random.default_rng(0).integers(0, 256, 20_000, np.uint8)
    with ckstore.open(store_path, create=True) as store:
        store.save({"x": noise[:5000]})
        assert not Path(store_path, RESERVE).exists()
        store.save({"x": noise})
        assert Path(store_path, RESERVE).stat().st_size == RESERVE_BYTES


def test_it_takes_real_blocks(reserve):
    assert reserve.stat().st_size == RESERVE_BYTES
    assert reserve.stat().st_blocks * 512 >= RESERVE_BYTES


def test_a_store_without_one_works_and_its_next_gc_makes_one(reserve):
    reserve.unlink()
    with ckstore.open(reserve.parent) as store:
        store.save({"x": np.arange(5000)})
        assert store.verify("data").ok
        assert not reserve.exists()
        store.gc(grace_s=0)
    assert reserve.stat().st_size == RESERVE_BYTES


def test_one_cut_short_by_a_crash_is_made_again(reserve):
    reserve.write_bytes(b"half")
    gc(reserve)
    assert reserve.stat().st_size == RESERVE_BYTES


def test_an_emergency_leaves_a_shorter_one_that_the_next_gc_makes_whole(reserve):
    gc(reserve, emergency=True)
    assert reserve.stat().st_size == SHORT_BYTES
    gc(reserve)
    assert reserve.stat().st_size == RESERVE_BYTES


def test_a_gc_that_finds_it_whole_leaves_it_alone(reserve):
    before = reserve.read_bytes()
    gc(reserve)
    assert reserve.read_bytes() == before


def test_an_init_that_was_cut_short_behind_it_goes_on(reserve):
    for path in (reserve.parent / "root").iterdir():
        path.unlink()
    with ckstore.open(reserve.parent, create=True) as store:
        store.save({"x": 1})


@pytest.mark.parametrize("verb", ["create", "write", "sync"])
def test_a_gc_on_a_disk_without_room_for_it_works_all_the_same(store_path, verb):
    class NoReserve(Fault):
        def hits(self, op):
            return op.verb == verb and op.path.endswith(RESERVE)

    door = FaultDoor(NoReserve(errno.ENOSPC, 0, sticky=True))
    with door.installed(), ckstore.open(store_path, create=True) as store:
        store.gc(grace_s=0)
    assert door.refused
    assert not Path(store_path, RESERVE).exists()
    with ckstore.open(store_path) as store:
        store.save({"x": 1})


def test_of_two_who_make_one_at_a_time_one_does(reserve):
    reserve.unlink()
    fs, made = LocalFs(str(reserve.parent)), []
    once(fs, "create", lambda: made.append(reserves.make(LocalFs(fs.root))))
    assert not reserves.make(fs)
    assert made == [True]
    assert reserve.stat().st_size == RESERVE_BYTES


def test_a_gc_that_may_not_do_all_it_wants_leaves_a_shorter_one(reserve):
    with ckstore.open(reserve.parent) as store:
        store.save({"x": np.arange(5000)})
        store.delete("main@0")
        store.gc(grace_s=0, max_repack_bytes=1000)
    assert reserve.stat().st_size == SHORT_BYTES
    gc(reserve)
    assert reserve.stat().st_size == RESERVE_BYTES
