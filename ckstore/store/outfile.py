"""A file being written for the first time."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

from ckstore.errors import StorageError

Buffer: TypeAlias = bytes | bytearray | memoryview
MAX_IO_BYTES = 128 << 20
"""Most bytes in one system call: some kernels return wrong counts at 2 GiB."""


@contextlib.contextmanager
def told(verb: str, path: str, missing: bool = True) -> Iterator[None]:
    """Turn an OSError into a StorageError that names the file; FileExistsError passes through as it is.

    missing: so does FileNotFoundError.
    """
    try:
        yield
    except (FileExistsError, StorageError):
        raise
    except OSError as error:
        if missing and isinstance(error, FileNotFoundError):
            raise
        raise StorageError(f"cannot {verb} {path}: {error.strerror}", error.errno, path=path) from error


def unsure(error: StorageError) -> StorageError:
    """`error` where a commit may have been made all the same: nothing may be cleaned up, and the caller must look."""
    message = f"{error.message}; it is not known whether the commit was made: look before you repeat it"
    return StorageError(message, error.errno, **{**error.details, "outcome": "unknown"})


def unmade(error: StorageError) -> StorageError:
    """`error` where a commit was certainly not made: nobody can know of it."""
    return StorageError(error.message, error.errno, **{**error.details, "outcome": "not made"})


class Descriptors(Protocol):
    """What an OutFile needs of the file system."""

    def locate(self, path: str) -> str: ...
    def write_some(self, fd: int, buffers: Sequence[Buffer], path: str) -> int: ...
    def sync_file(self, fd: int, path: str) -> None: ...
    def set_direct(self, fd: int, on: bool) -> bool: ...
    def close(self, fd: int) -> None: ...


class OutFile:
    """A file being written for the first time. After any error it refuses further use: what was written is unknown."""

    def __init__(self, fs: Descriptors, fd: int, path: str) -> None:
        self._fs, self._fd, self.path = fs, fd, path
        self._failed = False
        self.n_bytes = 0

    @contextlib.contextmanager
    def _attempt(self, verb: str) -> Iterator[None]:
        with told(verb, self._fs.locate(self.path)):
            if self._failed:
                raise OSError(errno.EIO, "an earlier write or sync of it failed")
            self._failed = True
            yield
            self._failed = False

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Append all buffers, in order."""
        rest = [memoryview(buffer).cast("B") for buffer in buffers if len(buffer)]
        with self._attempt("write"):
            while rest:
                taken = self._fs.write_some(self._fd, _at_most(rest, MAX_IO_BYTES), self.path)
                self.n_bytes += taken
                while rest and taken >= len(rest[0]):
                    taken -= len(rest.pop(0))
                if taken:
                    rest[0] = rest[0][taken:]

    def set_direct(self, on: bool) -> bool:
        """Let what is written pass the page cache from here on, or no more. Returns whether it does: not all can."""
        with self._attempt("write"):
            return self._fs.set_direct(self._fd, on)

    def write_direct(self, block: memoryview) -> int:
        """Append what is taken of a block past the page cache: its bytes. If not all is, the rest goes through it."""
        with self._attempt("write"):
            try:
                taken = self._fs.write_some(self._fd, [block], self.path)
            except OSError as error:
                if error.errno != errno.EINVAL:  # which says that this file system, or disk, takes no such write
                    raise
                taken = 0
            self.n_bytes += taken
            if taken < len(block):
                self._fs.set_direct(self._fd, False)
        return taken

    def sync(self) -> None:
        """Make what was written durable."""
        with self._attempt("sync"):
            self._fs.sync_file(self._fd, self.path)

    def close(self) -> None:
        """Release the descriptor; nothing is synced."""
        if self._fd >= 0:
            self._fs.close(self._fd)
            self._fd = -1

    def __enter__(self) -> OutFile:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.sync()
        finally:
            self.close()


def _at_most(buffers: list[memoryview], n_bytes: int) -> list[memoryview]:
    chosen: list[memoryview] = []
    for buffer in buffers[:512]:  # below every system's IOV_MAX
        chosen.append(buffer[:n_bytes])
        n_bytes -= len(chosen[-1])
        if n_bytes <= 0:
            break
    return chosen
