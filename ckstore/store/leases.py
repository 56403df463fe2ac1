"""Leases: how a garbage collection sees that a writer is still alive. They decide who waits, never who is right.

A lease is a file `lease/<epoch>-<16 hex>` that its writer keeps locked (flock), raising its counter now and then.
On the same boot of the same host the kernel's lock tells whether the holder lives; who began before the last boot of
this host is dead; on another host, a counter seen to change tells.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import threading
import time
import weakref
from pathlib import Path
from typing import NamedTuple

import msgspec

from ckstore.format.names import LEASES, TEMPORARIES, epoch_of
from ckstore.store.fs import LocalFs
from ckstore.store.outfile import told

HEARTBEAT_S = 20.0
DEAD_AFTER_HEARTBEATS = 3


class _Beat(msgspec.Struct):
    """What a lease file says."""

    host: str
    pid: int
    count: int
    machine: str = ""


def this_host() -> str:
    """A name for this boot of this machine: the kernel's lock is believed only within it."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return boot.read_text().strip() if boot.exists() else socket.gethostname()


def this_machine() -> str:
    """A name for this machine that outlives a boot; "" if it has none.

    Machine id and host name together: one image may have made several machines. A wrong guess costs a save a retry.
    """
    with contextlib.suppress(OSError):
        known = Path("/etc/machine-id").read_text().strip()
        return f"{known} {socket.gethostname()}" if known else ""
    return ""


class Lease:
    """A held lease. Children of fork drop it without touching the file.

    Raises StorageError, or FileNotFoundError if a gc swept the file away before it was in its place.
    """

    def __init__(self, fs: LocalFs, writer: str) -> None:
        self._path = fs.locate(f"{LEASES}/{writer}")
        self._beat = _Beat(this_host(), os.getpid(), 0, this_machine())
        self._stop = threading.Event()
        self._lock = threading.Lock()
        temporary = fs.locate(f"{TEMPORARIES}/{writer}-0")
        with told("make lease", temporary):
            self._fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX)
                os.pwrite(self._fd, msgspec.json.encode(self._beat), 0)
                os.rename(temporary, self._path)  # locked before anyone can see it
            except BaseException:
                with contextlib.suppress(OSError):  # on a full disk nobody could make another
                    os.unlink(temporary)
                self.abandon()
                raise
        _held.add(self)
        with contextlib.suppress(RuntimeError):  # no thread can start: a silent lease only costs a retry
            threading.Thread(target=_beat_on, args=(weakref.ref(self), self._stop), daemon=True).start()

    def beat(self) -> None:
        """Show a distant observer that the holder lives."""
        with self._lock:  # a descriptor that release() has closed may be another file's by now
            if self._fd >= 0:
                self._beat.count += 1
                with contextlib.suppress(OSError):  # the next beat may succeed; a silent lease only costs a retry
                    os.pwrite(self._fd, msgspec.json.encode(self._beat), 0)

    def release(self) -> None:
        """Give the lease back. A file that cannot be removed is left to gc: nobody holds its lock."""
        _held.discard(self)
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        self.abandon()

    def abandon(self) -> None:
        """Let go of the lock and leave the file alone, as a forked child must."""
        self._stop.set()
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1


_held: weakref.WeakSet[Lease] = weakref.WeakSet()


def _after_fork() -> None:
    for lease in list(_held):
        lease._lock = threading.Lock()  # the parent's thread that may have held it is not here
        lease.abandon()
    _held.clear()


os.register_at_fork(after_in_child=_after_fork)


def _beat_on(lease: weakref.ref[Lease], stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_S):
        held = lease()
        if held is None:
            return
        held.beat()
        del held


class _Seen(NamedTuple):
    """A counter as it was first seen at this value, and whether it was seen to change."""

    beats: int
    since: float
    moved: bool


class Observer:
    """Watches leases for the garbage collections of one process."""

    def __init__(self, fs: LocalFs) -> None:
        self._fs = fs
        self._seen: dict[str, _Seen] = {}

    def writers(self) -> list[str]:
        """Names of all leases there are, dead or alive. What is no plain file of such a name is foreign."""
        names = [name for name in self._fs.sizes(LEASES) if epoch_of(name) is not None]
        self._seen = {name: seen for name, seen in self._seen.items() if name in names}
        return names

    def live(self, writer: str) -> bool:
        """Whether the holder of this lease must be taken to be alive."""
        path = self._fs.locate(f"{LEASES}/{writer}")
        try:
            with told("look at lease", path):
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    if not stat.S_ISREG(os.fstat(fd).st_mode):
                        return False
                    beat = _read_beat(fd)
                    if beat is None or beat.host == this_host():
                        return not _lockable(fd)
                finally:
                    os.close(fd)
        except FileNotFoundError:
            return False
        if beat.machine and beat.machine == this_machine():
            return False  # its process cannot have outlived the boot
        return self._counts(writer, beat.count)

    def in_doubt(self) -> list[str]:
        """Leases of other hosts that live for now, but whose counter has neither moved nor stood still for long."""
        return [writer for writer in self.writers() if self.live(writer) and self._is_in_doubt(writer)]

    def _is_in_doubt(self, writer: str) -> bool:
        return writer in self._seen and not self._seen[writer].moved

    def _counts(self, writer: str, count: int) -> bool:
        now = time.monotonic()
        seen = self._seen.get(writer)
        if seen is None or seen.beats != count:
            self._seen[writer] = _Seen(count, now, seen is not None)
            return True
        return now - seen.since < HEARTBEAT_S * DEAD_AFTER_HEARTBEATS

    def forget(self, writer: str) -> None:
        """Remove the lease of a dead writer."""
        self._fs.remove(f"{LEASES}/{writer}")


def _read_beat(fd: int) -> _Beat | None:
    try:
        return msgspec.json.decode(os.pread(fd, 4096, 0), type=_Beat)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _lockable(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
