"""Leases: who is alive, who only seems to be, and that a lease touches no file but its own."""

from __future__ import annotations

import multiprocessing
import os
import threading
from pathlib import Path

import pytest

import ckstore
from ckstore.store import leases
from ckstore.store.leases import Lease, Observer
from tests.support.stores import save

WRITER = "1-00000000000000aa"
SILENT = "1-00000000000000dd"


@pytest.fixture
def fs(open_store):
    return open_store()._session.repo.fs


class Clock:
    """Stands for the `time` module."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def far_away(monkeypatch):
    """The observer is on another host than the holder, with a clock that the test turns."""
    clock = Clock()
    monkeypatch.setattr(leases, "time", clock)

    def hide() -> Clock:
        monkeypatch.setattr(leases, "this_host", lambda: "another host")
        monkeypatch.setattr(leases, "this_machine", lambda: "another machine")
        return clock

    return hide


def test_a_held_lease_is_alive_and_a_released_one_is_gone(fs):
    lease = Lease(fs, WRITER)
    assert Observer(fs).live(WRITER)
    assert Observer(fs).writers() == [WRITER]
    lease.release()
    assert not Observer(fs).live(WRITER)
    assert Observer(fs).writers() == []


def test_the_lease_of_a_process_that_died_is_seen_to_be_dead_at_once(fs):
    Path(fs.locate("lease"), WRITER).write_bytes(b"{}")
    assert not Observer(fs).live(WRITER)


def test_a_lease_cut_short_by_a_crash_is_judged_by_its_lock(fs):
    lease = Lease(fs, WRITER)
    os.truncate(fs.locate(f"lease/{WRITER}"), 3)
    assert Observer(fs).live(WRITER)
    lease.release()


def test_on_another_host_a_lease_lives_while_its_counter_moves(fs, far_away):
    lease = Lease(fs, WRITER)
    clock, observer = far_away(), Observer(fs)
    for _ in range(10):
        assert observer.live(WRITER)
        clock.now += 59.0
        lease.beat()
    assert observer.live(WRITER)
    clock.now += 59.0
    assert observer.live(WRITER)
    clock.now += 2.0
    assert not observer.live(WRITER)
    lease.release()


def test_on_another_host_a_first_look_takes_everyone_for_alive(fs, far_away):
    lease = Lease(fs, WRITER)
    far_away().now = 1e9
    assert Observer(fs).live(WRITER)
    lease.release()


def test_before_the_last_boot_of_this_machine_nobody_lives_on(fs, monkeypatch):
    """After a power cut what a saver had written must not wait for a gc that watches for a minute."""
    lease = Lease(fs, WRITER)
    monkeypatch.setattr(leases, "this_host", lambda: "another boot")
    assert leases.this_machine()
    assert not Observer(fs).live(WRITER)
    lease.release()


def test_a_machine_without_a_name_is_told_by_nothing(fs, monkeypatch):
    monkeypatch.setattr(leases, "this_machine", lambda: "")
    lease = Lease(fs, WRITER)
    monkeypatch.setattr(leases, "this_host", lambda: "another boot")
    assert Observer(fs).live(WRITER)
    lease.release()


def test_a_lease_without_a_machine_as_older_writers_make_them_is_watched(fs, far_away):
    lease = Lease(fs, WRITER)
    Path(fs.locate("lease"), WRITER).write_bytes(b'{"host": "h", "pid": 1, "count": 3}')
    clock, observer = far_away(), Observer(fs)
    assert observer.live(WRITER)
    clock.now += 60.0
    assert not observer.live(WRITER)
    lease.release()


def test_a_lease_is_in_doubt_until_its_counter_moves_or_has_stood_still_for_long(fs, far_away):
    lease, silent = Lease(fs, WRITER), Lease(fs, SILENT)
    clock, observer = far_away(), Observer(fs)
    assert sorted(observer.in_doubt()) == [WRITER, SILENT]
    clock.now += 19.0
    lease.beat()
    assert observer.in_doubt() == [SILENT]
    assert observer.live(WRITER)
    clock.now += 41.0
    assert observer.in_doubt() == []
    assert observer.live(WRITER)
    assert not observer.live(SILENT)
    lease.release()
    silent.release()


def test_a_lease_of_this_boot_is_never_in_doubt(fs):
    lease = Lease(fs, WRITER)
    assert Observer(fs).in_doubt() == []
    lease.release()


FOREIGN = ["NOTES.txt", "1-00000000000000AA", ".nfs0001", WRITER + "-1"]


@pytest.mark.timeout(20)
def test_what_is_no_lease_is_left_alone(open_store):
    store = open_store()
    save(store, "main", 0)
    there = [Path(store.path, "lease", name) for name in (*FOREIGN, "1-00000000000000bb", "1-00000000000000cc", "sub")]
    for path in there[:-3]:
        path.write_text("mine")
    os.mkfifo(there[-3])
    there[-2].mkdir()
    there[-1].mkdir()
    store.gc(dry_run=True)
    store.delete("main@0")
    assert store.gc(grace_s=0).freed_bytes > 0
    assert all(path.exists() for path in there)
    fs = store._session.repo.fs
    assert Observer(fs).writers() == []
    assert not Observer(fs).live(there[-3].name)  # put there between the listing and the look


@pytest.mark.parametrize("code", [28, 5])
def test_a_lease_that_finds_no_space_leaves_nothing_behind(fs, monkeypatch, code):
    monkeypatch.setattr(leases.os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(code, "no")))
    with pytest.raises(ckstore.StorageError):
        Lease(fs, WRITER)
    assert fs.names("tmp") == fs.names("lease") == []


def test_a_beat_never_writes_into_a_file_that_took_over_the_descriptor(fs, tmp_path, monkeypatch):
    """A lease is released between a beat's look at its descriptor and its write."""
    lease = Lease(fs, WRITER)
    mine, looked, released = lease._fd, threading.Event(), threading.Event()
    pwrite = os.pwrite

    class Slow:
        def __getattr__(self, name):
            return getattr(os, name)

        def pwrite(self, fd, data, offset):
            looked.set()
            released.wait(0.2)  # the release has to wait for this beat: then the wait ends by its limit
            return pwrite(fd, data, offset)

    monkeypatch.setattr(leases, "os", Slow())
    beat = threading.Thread(target=lease.beat)
    beat.start()
    looked.wait()
    lease.release()
    other = os.open(tmp_path / "pack", os.O_RDWR | os.O_CREAT)
    released.set()
    beat.join()
    assert other == mine
    assert os.fstat(other).st_size == 0
    os.close(other)


def test_a_beat_that_fails_does_not_end_the_beating(fs, monkeypatch):
    lease = Lease(fs, WRITER)
    monkeypatch.setattr(leases.os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    lease.beat()
    monkeypatch.undo()
    lease.beat()
    lease.release()


def _live_on(pipe):
    pipe.send("forked")
    pipe.recv()


def test_a_forked_child_neither_removes_nor_prolongs_its_parents_lease(fs):
    lease = Lease(fs, WRITER)
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_live_on, args=(there,), daemon=True)
    child.start()
    assert here.recv() == "forked"
    assert Observer(fs).live(WRITER)
    lease.abandon()  # as if the parent had died, while its child lives on
    assert not Observer(fs).live(WRITER)
    here.send("end")
    child.join()
    assert Observer(fs).writers() == [WRITER]


@pytest.mark.parametrize(("verb", "nth"), [("newest", 1), ("newest_number", 2)])
def test_a_writer_that_cannot_begin_gives_its_lease_back(open_store, verb, nth, monkeypatch):
    store = open_store()
    repo, calls = store._session.repo, []
    call = getattr(repo.roots, verb)

    def fails():
        calls.append(verb)
        if len(calls) == nth:
            raise ckstore.StorageError("cannot read root", 5)
        return call()

    monkeypatch.setattr(repo.roots, verb, fails)
    with pytest.raises(ckstore.StorageError):
        store.save({"x": 1})
    assert Observer(repo.fs).writers() == []
