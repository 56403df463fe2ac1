"""Stands between ckstore and the operating system: every call of `store/fs.py` and `store/leases.py` passes here.

A Door replaces the `os` module of those two modules, below everything they do, so that a lost fsync in the code shows.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from ckstore.engine.session import Session
from ckstore.store import fs, leases

READS = frozenset({"open", "read", "list", "stat"})


@dataclass(frozen=True)
class Op:
    """One call: what it does, to which absolute path, and what else it takes."""

    verb: str
    path: str
    other: str = ""
    """New name of a link or rename."""
    offset: int = 0
    data: bytes = b""
    fd: int = -1

    def __str__(self) -> str:
        return " ".join(filter(None, (self.verb, self.path, self.other, f"{len(self.data)} B" if self.data else "")))


class Door:
    """An `os` whose calls can be seen, refused and made to lie. This one passes everything through."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._paths: dict[int, str] = {}
        self._ends: dict[int, int] = {}
        self._directories: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def pass_through(self, op: Op, call: Callable[[], Any]) -> Any:
        """Make the call. Subclasses watch it, or raise instead, or afterwards."""
        return call()

    def _passed(self, op: Op, call: Callable[[], Any]) -> Any:
        if op.verb in READS:
            return self.pass_through(op, call)
        with self._lock:
            return self.pass_through(op, call)

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        made = "create" if flags & os.O_CREAT else "open"
        fd: int = self._passed(Op(made, path), lambda: os.open(path, flags, mode))
        self._paths[fd], self._ends[fd] = path, 0
        (self._directories.add if flags & os.O_DIRECTORY else self._directories.discard)(fd)
        return fd

    def close(self, fd: int) -> None:
        os.close(fd)

    def pread(self, fd: int, n_bytes: int, offset: int) -> bytes:
        data: bytes = self._passed(Op("read", self._paths[fd], offset=offset), lambda: os.pread(fd, n_bytes, offset))
        return data

    def writev(self, fd: int, buffers: Sequence[Any]) -> int:
        data = b"".join(bytes(buffer) for buffer in buffers)
        op = Op("write", self._paths[fd], offset=self._ends[fd], data=data, fd=fd)
        taken: int = self._passed(op, lambda: os.writev(fd, buffers))
        self._ends[fd] += taken
        return taken

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        op = Op("write", self._paths[fd], offset=offset, data=bytes(data), fd=fd)
        taken: int = self._passed(op, lambda: os.pwrite(fd, data, offset))
        return taken

    def fsync(self, fd: int) -> None:
        verb = "sync_dir" if fd in self._directories else "sync"
        self._passed(Op(verb, self._paths[fd], fd=fd), lambda: os.fsync(fd))

    def link(self, source: str, path: str) -> None:
        self._passed(Op("link", source, path), lambda: os.link(source, path))

    def rename(self, source: str, path: str) -> None:
        self._passed(Op("rename", source, path), lambda: os.rename(source, path))

    def unlink(self, path: str) -> None:
        self._passed(Op("remove", path), lambda: os.unlink(path))

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        self._passed(Op("make_dir", path), lambda: os.mkdir(path, mode))

    def makedirs(self, path: str, mode: int = 0o777, exist_ok: bool = False) -> None:
        if os.path.isdir(path) and exist_ok:
            return
        parent = os.path.dirname(path)
        if not os.path.isdir(parent):
            self.makedirs(parent, mode, exist_ok=True)
        self.mkdir(path, mode)

    def scandir(self, path: str) -> Any:
        return self._passed(Op("list", path), lambda: os.scandir(path))

    def listdir(self, path: str) -> list[str]:
        names: list[str] = self._passed(Op("list", path), lambda: os.listdir(path))
        return names

    def stat(self, path: str) -> os.stat_result:
        found: os.stat_result = self._passed(Op("stat", path), lambda: os.stat(path))
        return found

    def lstat(self, path: str) -> os.stat_result:
        found: os.stat_result = self._passed(Op("stat", path), lambda: os.lstat(path))
        return found

    @contextmanager
    def installed(self) -> Iterator[Door]:
        """Everything that ckstore does to files in this block passes here."""
        rename_new = fs.LocalFs.rename_new  # reaches the kernel through libc, not through os

        def passed(local: fs.LocalFs, source: str, path: str) -> None:
            op = Op("rename", local.locate(source), local.locate(path))
            self._passed(op, lambda: rename_new(local, source, path))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fs.LocalFs, "rename_new", passed)
            for module in (fs, leases):
                patch.setattr(module, "os", self)
            yield self


class NoSync:
    """For checks that need no durability of their own: an `os` that flushes nothing."""

    fsync = staticmethod(lambda _: None)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


@contextmanager
def quickly() -> Iterator[None]:
    """For small checks by the thousand: nothing is flushed, and no worker threads are started."""

    def in_order(_: Session, work: Callable[[Any], Any], items: Iterable[Any], ahead: int) -> Iterator[Any]:
        return map(work, items)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "map", in_order)
        for module in (fs, leases):
            patch.setattr(module, "os", NoSync())
        yield
