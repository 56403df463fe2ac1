"""An operating system that refuses: one call, or every call from then on."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.door import READS, Door, Op

OPENS = frozenset({"open", "create", "list"})


@dataclass(frozen=True)
class Fault:
    """Which call is refused (counted among those the fault can hit), why, and whether all later ones are too."""

    code: int
    at: int
    sticky: bool = False
    after: bool = False
    """The call is made all the same, and only its answer is lost."""

    def hits(self, op: Op) -> bool:
        match self.code:
            case errno.ENOSPC:
                return op.verb not in READS | {"remove"}
            case errno.EMFILE:
                return op.verb in OPENS
            case errno.EROFS:
                return op.verb not in READS
        return True

    def __str__(self) -> str:
        when = ("from" if self.sticky else "at") + f" call {self.at}"
        return f"{errno.errorcode[self.code]} {when}{', after it was made' if self.after else ''}"


class FaultDoor(Door):
    """Passes everything through until its fault is armed. Notes calls, refusals, and syncs of what failed to sync."""

    def __init__(self, fault: Fault | None = None) -> None:
        super().__init__()
        self.fault = fault
        self.calls: list[Op] = []
        self.refused: list[Op] = []
        self.synced_again: list[Op] = []
        self._n, self._unsynced = 0, set[int]()

    def pass_through(self, op: Op, call: Callable[[], Any]) -> Any:
        self.calls.append(op)
        if op.verb == "sync" and op.fd in self._unsynced:
            self.synced_again.append(op)
        if self.fault is None or not self.fault.hits(op):
            return call()
        self._n += 1
        if self._n <= self.fault.at or (self._n > self.fault.at + 1 and not self.fault.sticky):
            return call()
        if self.fault.after:
            with contextlib.suppress(OSError):
                made = call()
                if op.verb in ("open", "create"):
                    os.close(made)
        self.refused.append(op)
        if op.verb == "sync":
            self._unsynced.add(op.fd)
        raise OSError(self.fault.code, os.strerror(self.fault.code), op.path)

    def close(self, fd: int) -> None:
        self._unsynced.discard(fd)
        super().close(fd)


class ShortWrites(Door):
    """Every write takes a few bytes only, as a signal or a nearly full disk can make it do."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def writev(self, fd: int, buffers: Any) -> int:
        return super().writev(fd, [memoryview(buffers[0])[: self._most]])
