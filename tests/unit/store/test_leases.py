"""Leases: a lock that the kernel takes back when its holder dies, and a counter for those who cannot see the lock."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ckstore
from ckstore.errors import ForkedError, StorageError
from ckstore.store import leases
from ckstore.store.fs import LocalFs
from ckstore.store.leases import DEAD_AFTER_HEARTBEATS, HEARTBEAT_S, Lease, Observer
from tests.support.door import Door, Op

WRITER = "7-0123456789abcdef"


@pytest.fixture
def fs(tmp_path: Path) -> LocalFs:
    for directory in ("tmp", "lease"):
        (tmp_path / directory).mkdir()
    return LocalFs(str(tmp_path))


@pytest.fixture
def lease(fs: LocalFs) -> Iterator[Lease]:
    held = Lease(fs, WRITER)
    yield held
    held.release()


def beat_of(fs: LocalFs) -> dict[str, Any]:
    return json.loads(Path(fs.locate(f"lease/{WRITER}")).read_text())


def write_beat(fs: LocalFs, **changes: Any) -> None:
    beat = {"host": leases.this_host(), "pid": 1, "count": 0} | changes
    Path(fs.locate(f"lease/{WRITER}")).write_text(json.dumps(beat))


def in_child(work: Any) -> int:
    """Exit status of a forked child that does `work`; the status is what it returns, 99 for an error."""
    pid = os.fork()
    if not pid:
        status = 99
        try:
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_held_lease_lives_and_a_released_one_is_gone(fs: LocalFs, lease: Lease) -> None:
    assert Observer(fs).writers() == [WRITER]
    assert Observer(fs).live(WRITER)
    assert fs.names("tmp") == []
    lease.release()
    assert Observer(fs).writers() == []
    assert not Observer(fs).live(WRITER)
    lease.release()


def test_a_lease_whose_holder_was_killed_is_dead_by_its_lock(fs: LocalFs) -> None:
    code = (
        "import sys, signal; from ckstore.store.fs import LocalFs; from ckstore.store.leases import Lease\n"
        f"held = Lease(LocalFs(sys.argv[1]), {WRITER!r}); print('held', flush=True); signal.pause()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, fs.root], stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    assert Observer(fs).live(WRITER)
    assert beat_of(fs)["pid"] == holder.pid
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert Observer(fs).writers() == [WRITER]
    assert not Observer(fs).live(WRITER)
    Observer(fs).forget(WRITER)
    assert Observer(fs).writers() == []


def test_looking_at_a_lease_does_not_take_its_lock(fs: LocalFs, lease: Lease) -> None:
    first, second = Observer(fs), Observer(fs)
    for _ in range(3):
        assert first.live(WRITER)
        assert second.live(WRITER)


def test_a_forked_child_neither_holds_nor_removes_the_lease(fs: LocalFs, lease: Lease) -> None:
    def work() -> int:
        lease.release()
        lease.beat()
        return 0

    assert in_child(work) == 0
    assert Observer(fs).live(WRITER)
    assert beat_of(fs)["count"] == 0


def test_a_lease_dies_with_its_holder_though_a_forked_child_lives_on(fs: LocalFs) -> None:
    """A data loader that outlives its trainer must not look like a saver."""
    ready, go = os.pipe(), os.pipe()
    held = Lease(fs, WRITER)
    pid = os.fork()
    if not pid:
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    held.abandon()  # what the kernel does when the holder is killed
    assert not Observer(fs).live(WRITER)
    os.write(go[1], b"x")
    os.waitpid(pid, 0)
    for descriptor in (*ready, *go):
        os.close(descriptor)


def test_a_forked_child_cannot_use_the_store_of_its_parent(store_path: str) -> None:
    with ckstore.open(store_path, create=True) as store:
        store.save({"a": 1})

        def work() -> int:
            for use in (lambda: store.save({"a": 2}), store.load, store.gc):
                with pytest.raises(ForkedError):
                    use()
            return 0

        assert in_child(work) == 0
        assert store.load() == {"a": 1}


def test_a_lease_of_another_host_lives_as_long_as_its_counter_moves(
    fs: LocalFs, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(leases.time, "monotonic", lambda: now[0])
    observer, limit = Observer(fs), HEARTBEAT_S * DEAD_AFTER_HEARTBEATS
    write_beat(fs, host="elsewhere", count=1)
    assert observer.live(WRITER)
    now[0] += limit - 1
    assert observer.live(WRITER)
    write_beat(fs, host="elsewhere", count=2)
    now[0] += limit - 1
    assert observer.live(WRITER)
    now[0] += limit
    assert not observer.live(WRITER)
    write_beat(fs, host="elsewhere", count=3)
    assert observer.live(WRITER)


def test_no_clock_of_another_host_matters(fs: LocalFs) -> None:
    write_beat(fs, host="elsewhere")
    for when in (0, 2**31):
        os.utime(fs.locate(f"lease/{WRITER}"), (when, when))
        assert Observer(fs).live(WRITER)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"host": 5}', bytes(50), b'{"host": "elsewhere"}', b'{"host":"\x80"}']
)
def test_a_lease_that_says_nothing_is_judged_by_its_lock(fs: LocalFs, text: bytes) -> None:
    path = Path(fs.locate(f"lease/{WRITER}"))
    path.write_bytes(text)
    assert not Observer(fs).live(WRITER)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert Observer(fs).live(WRITER)


def test_a_beat_raises_the_counter(fs: LocalFs, lease: Lease) -> None:
    before = beat_of(fs)
    lease.beat()
    assert beat_of(fs) == {**before, "count": before["count"] + 1}
    lease.release()
    lease.beat()


@pytest.mark.parametrize("verb", ["create", "write", "rename"])
def test_a_lease_that_cannot_be_made_is_a_storage_error_and_no_lease(fs: LocalFs, verb: str) -> None:
    class Full(Door):
        def pass_through(self, op: Op, call: Any) -> Any:
            if op.verb == verb:
                raise OSError(errno.ENOSPC, "No space left on device", op.path)
            return call()

    with Full().installed(), pytest.raises(StorageError) as caught:
        Lease(fs, WRITER)
    assert caught.value.errno == errno.ENOSPC
    assert fs.names("lease") == []


def test_a_lease_is_locked_before_anyone_can_see_it(fs: LocalFs) -> None:
    seen: list[bool] = []

    class Watch(Door):
        def pass_through(self, op: Op, call: Any) -> Any:
            result = call()
            if op.verb == "rename":
                seen.append(Observer(fs).live(WRITER))
            return result

    with Watch().installed():
        Lease(fs, WRITER).release()
    assert seen == [True]


def test_a_machine_whose_name_cannot_be_read_has_none_and_its_leases_are_as_good(
    fs: LocalFs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "Path", lambda path: tmp_path / path.lstrip("/"))
    assert leases.this_machine() == ""
    assert leases.this_host()  # of no boot either: the host's name
    held = Lease(fs, WRITER)
    assert Observer(fs).live(WRITER)
    held.release()
    assert not Observer(fs).live(WRITER)


def test_the_beating_for_a_lease_that_is_gone_comes_to_an_end(fs: LocalFs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT_S", 0.0)
    leases._beat_on(lambda: None, threading.Event())
