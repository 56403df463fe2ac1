"""An operating system that refuses: one call, or every call from then on."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Sequence
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
    short: bool = False
    """A write takes half of its bytes. With a code all later writes are refused: the disk was full in the middle."""

    def hits(self, op: Op) -> bool:
        match self.code:
            case errno.ENOSPC | errno.EDQUOT:
                return op.verb not in READS | {"remove"}
            case errno.EMFILE:
                return op.verb in OPENS
            case errno.EROFS:
                return op.verb not in READS
        return True

    def __str__(self) -> str:
        when = ("from" if self.sticky else "at") + f" call {self.at}"
        what = " ".join(filter(None, ("short write" if self.short else "", errno.errorcode.get(self.code))))
        return f"{what} {when}{', after it was made' if self.after else ''}"


class FaultDoor(Door):
    """Passes everything through until its fault is armed. Notes calls, refusals, and syncs of what failed to sync."""

    def __init__(self, fault: Fault | None = None) -> None:
        super().__init__()
        self.fault = fault
        self.calls: list[Op] = []
        self.refused: list[Op] = []
        self.synced_again: list[Op] = []
        self.n_cut = 0
        self._n, self._unsynced, self._full = 0, set[int](), False

    def _is_due(self, fault: Fault) -> bool:
        """Count one more call that the fault can hit; whether it does."""
        self._n += 1
        return self._n == fault.at + 1 or (self._n > fault.at and fault.sticky)

    def pass_through(self, op: Op, call: Callable[[], Any]) -> Any:
        self.calls.append(op)
        if op.verb == "sync" and op.fd in self._unsynced:
            self.synced_again.append(op)
        if self.fault is None:
            return call()
        if self.fault.short:
            hit = self._full and op.verb == "write"
        else:
            hit = self.fault.hits(op) and self._is_due(self.fault)
        return self._refuse(self.fault, op, call) if hit else call()

    def _refuse(self, fault: Fault, op: Op, call: Callable[[], Any]) -> Any:
        if fault.after:
            with contextlib.suppress(OSError):
                made = call()
                if op.verb in ("open", "create"):
                    os.close(made)
        self.refused.append(op)
        if op.verb == "sync":
            self._unsynced.add(op.fd)
        raise OSError(fault.code, os.strerror(fault.code), op.path)

    def _cut(self, data: bytes) -> bytes:
        """What a write is let have."""
        fault = self.fault
        if fault is None or not fault.short or (self.n_cut and fault.code) or not self._is_due(fault):
            return data
        self.n_cut += 1
        return data[: max(1, len(data) // 2)]

    def writev(self, fd: int, buffers: Sequence[Any]) -> int:
        taken = super().writev(fd, [self._cut(b"".join(bytes(buffer) for buffer in buffers))])
        self._full = self.n_cut > 0 and self.fault is not None and self.fault.code != 0
        return taken

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        taken = super().pwrite(fd, self._cut(bytes(data)), offset)
        self._full = self.n_cut > 0 and self.fault is not None and self.fault.code != 0
        return taken

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
