"""A saver that sleeps for longer than its lease counts: a gc takes it for dead, and it saves again when it wakes."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import ckstore
from ckstore.store import leases
from tests.support.children import Child, Tell, children
from tests.support.marks import Mark, Save
from tests.support.states import CHUNK, assert_whole_and_tidy, keys
from tests.support.stores import after_begin, before_commit, save

HEARTBEAT_S = 0.02
"""So that a lease is silent for long after a moment."""
PLACES = {"with its lease and no more": after_begin, "before its commit": before_commit}


def save_and_sleep(tell: Tell, path: str, place: str, n_sleeps: int, far: bool) -> None:
    """Save main@2, and stop in the middle of the first attempts. far: as if on another host. Tells each expiry."""
    leases.HEARTBEAT_S = HEARTBEAT_S
    if far:
        leases.this_host = leases.this_machine = lambda: "another host"
    expired = ckstore.WriterExpired.__init__

    def told(self: Any, message: str, **details: Any) -> None:
        tell("expired")
        expired(self, message, **details)

    ckstore.WriterExpired.__init__ = told
    with ckstore.open(path) as store:

        def sleep(left: int) -> None:
            tell("asleep")
            os.kill(os.getpid(), signal.SIGSTOP)
            if left > 1:
                PLACES[place](store, lambda: sleep(left - 1))

        PLACES[place](store, lambda: sleep(n_sleeps))
        save(store, "main", 2)
        tell(Mark(Save(("main", 2)), acknowledged=True))


def wait_until_stopped(pid: int) -> None:
    """Poll until all threads of a process are stopped."""
    for _ in itertools.count():
        states = [
            status.read_text().partition("State:\t")[2][0] for status in Path(f"/proc/{pid}/task").glob("*/status")
        ]
        if set(states) == {"T"}:
            return


def collected(store: ckstore.Store, expire: bool) -> int:
    """Collect until something goes: with expire=False, until the sleeper's lease has been silent for long."""
    while True:
        report = store.gc(grace_s=0, expire_writers=expire)
        if report.deleted_objects:
            return report.deleted_objects


@pytest.fixture
def path(fast_path, monkeypatch) -> str:
    monkeypatch.setattr(leases, "HEARTBEAT_S", HEARTBEAT_S)
    with ckstore.open(fast_path / "store", create=True, chunk_elements=CHUNK) as store:
        save(store, "main", 0)
        save(store, "main", 1)
    return str(fast_path / "store")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux tells by /proc that a process is stopped")
@pytest.mark.parametrize("n_sleeps", [1, 3])
@pytest.mark.parametrize("far", [True, False], ids=["silent for long", "--expire-writers"])
@pytest.mark.parametrize("place", PLACES)
def test_a_saver_that_slept_too_long_saves_again(path, place, far, n_sleeps):
    """Its parent, whose chunks and pages it had counted on, is deleted and collected while it sleeps."""
    with children(Child(save_and_sleep, path, place, n_sleeps, far)) as (saver,), ckstore.open(path) as store:
        assert saver.message() == "asleep"
        n_expired = 0
        for sleep in range(n_sleeps):
            wait_until_stopped(saver.process.pid)
            for ck in store.checkpoints():
                store.delete(ck)
            save(store, "other", sleep)
            store.delete(f"other@{sleep}")
            collected(store, expire=not far)
            os.kill(saver.process.pid, signal.SIGCONT)
            while (message := saver.message()) == "expired":
                n_expired += 1
            assert message == ("asleep" if sleep + 1 < n_sleeps else Mark(Save(("main", 2)), acknowledged=True))
        assert saver.message() is None
        assert n_expired >= n_sleeps
        assert keys(store) == [("main", 2)]
        assert_whole_and_tidy(store)
