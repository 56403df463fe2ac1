"""The only door to the operating system for everything a store keeps: create, publish, read, list, remove, sync.

Names are paths below the store's directory. Objects are made by `create` (never replacing) and are durable once
the writer is closed and their directory synced; `publish` makes a whole file appear, or raises FileExistsError.
An object store fits behind the same calls: create = upload with If-None-Match, sync_dir = nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import stat
import sys
from collections.abc import Sequence

from ckstore.errors import StorageError, UnsupportedError
from ckstore.store.outfile import MAX_IO_BYTES, Buffer, OutFile, told, unmade, unsure

_RENAME_NOREPLACE = 1
_AT_FDCWD = -100
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


class LocalFs:
    """A directory of a local file system."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)

    def locate(self, path: str) -> str:
        """The absolute path of `path`."""
        return os.path.join(self.root, path)

    # -- reading

    def exists(self, path: str) -> bool:
        """Whether there is a file or directory of this name. Raises StorageError where that cannot be told."""
        with told("look at", self.locate(path)):
            try:
                os.stat(self.locate(path))
            except (FileNotFoundError, NotADirectoryError):
                return False
        return True

    def sizes(self, directory: str) -> dict[str, int]:
        """Bytes of every plain file in a directory, by name. A directory that a copy of the store lost holds none."""
        found: dict[str, int] = {}
        where = self.locate(directory)
        with contextlib.suppress(FileNotFoundError), told("list", where), os.scandir(where) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # removed since the listing began
                    if entry.is_file(follow_symlinks=False):
                        found[entry.name] = entry.stat(follow_symlinks=False).st_size
        return found

    def names(self, directory: str) -> list[str]:
        """Names in a directory; raises FileNotFoundError."""
        with told("list", self.locate(directory)):
            return os.listdir(self.locate(directory))

    def modified(self, path: str) -> float:
        """Seconds since the epoch of the last change; raises FileNotFoundError."""
        with told("stat", self.locate(path)):
            return os.stat(self.locate(path)).st_mtime

    def open_read(self, path: str) -> int:
        """A descriptor for pread; raises FileNotFoundError."""
        with told("open", self.locate(path)):  # without waiting: a pipe put in a file's place would never answer
            fd = os.open(self.locate(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise StorageError(f"cannot read {self.locate(path)}: it is no plain file", path=path)
        return fd

    def close(self, fd: int) -> None:
        """Close a descriptor of open_read."""
        os.close(fd)

    def pread(self, fd: int, n_bytes: int, offset: int, path: str) -> bytes:
        """Up to n_bytes from offset; fewer only at the end of the file."""
        parts: list[bytes] = []
        with told("read", self.locate(path)):
            while n_bytes > 0:
                part = os.pread(fd, min(n_bytes, MAX_IO_BYTES), offset)
                if not part:
                    break
                parts.append(part)
                n_bytes, offset = n_bytes - len(part), offset + len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read(self, path: str, offset: int = 0, n_bytes: int | None = None) -> bytes:
        """A range of a file, or all of it; raises FileNotFoundError."""
        fd = self.open_read(path)
        try:
            size = os.fstat(fd).st_size if n_bytes is None else n_bytes
            return self.pread(fd, size, offset, path)
        finally:
            self.close(fd)

    # -- writing

    def make_dir(self, path: str) -> None:
        """Make a directory, and durably its parents; no error if it is there. DURABLE after sync_dir of its parent."""
        missing, above = [], self.locate(path)
        with told("make", self.locate(path)):
            while not os.path.isdir(above):
                missing.append(above)
                above = os.path.dirname(above)
            os.makedirs(self.locate(path), exist_ok=True)
        for directory in missing[1:]:
            self.sync_dir(os.path.dirname(directory))

    def create(self, path: str) -> OutFile:
        """A new file, to be written once; raises FileExistsError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with told("create", self.locate(path), missing=False):
            return OutFile(self, os.open(self.locate(path), flags, 0o666), path)

    def publish(self, temporary: str, path: str, data: bytes) -> None:
        """Make `data` appear under `path`, whole or not at all; FileExistsError if the name is taken.

        DURABLE after sync_dir of its directory. The temporary is removed unless the outcome is unknown.
        """
        try:
            with self.create(temporary) as out:
                out.write([data])
        except StorageError as error:
            with contextlib.suppress(StorageError):
                self.remove(temporary)
            raise unmade(error) from error
        try:
            self._publish(temporary, path)
        except FileExistsError:
            self.remove(temporary)
            raise
        except StorageError as error:
            raise unsure(error) from error
        with contextlib.suppress(StorageError):  # published is published; gc removes what is left here
            self.remove(temporary)

    def _publish(self, temporary: str, path: str) -> None:
        try:
            self.link(temporary, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                with told("publish", self.locate(path)):
                    raise
            self.rename_new(temporary, path)

    def link(self, source: str, path: str) -> None:
        """Give the file `source` a second, new name."""
        os.link(self.locate(source), self.locate(path))

    def rename_new(self, source: str, path: str) -> None:
        """Rename without replacing; UnsupportedError where the file system has neither this nor hard links."""
        libc = ctypes.CDLL(None, use_errno=True)
        rename = getattr(libc, "renameat2", None) if sys.platform == "linux" else None
        names = os.fsencode(self.locate(source)), os.fsencode(self.locate(path))
        if rename and not rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE):
            return
        if rename and ctypes.get_errno() == errno.EEXIST:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.locate(path))
        raise UnsupportedError(
            f"{self.root}: this file system can neither hard-link nor rename without replacing, "
            "so two savers could overwrite each other; put the store on ext4, xfs, btrfs, apfs or tmpfs",
            path=self.root,
        )

    def remove(self, path: str) -> None:
        """Remove a file; no error if it is gone."""
        with told("remove", self.locate(path)), contextlib.suppress(FileNotFoundError):
            os.unlink(self.locate(path))

    def sync_dir(self, directory: str) -> None:
        """Make the names in a directory durable."""
        with told("sync", self.locate(directory), missing=False):
            fd = os.open(self.locate(directory), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def write_some(self, fd: int, buffers: Sequence[Buffer], path: str) -> int:
        """One writev; returns how many bytes it took."""
        return os.writev(fd, buffers)

    def set_direct(self, fd: int, on: bool) -> bool:
        """Let writes to an open file pass the page cache, or no more. Returns whether they do: not all can."""
        flag, flags = getattr(os, "O_DIRECT", 0), fcntl.fcntl(fd, fcntl.F_GETFL)
        try:
            fcntl.fcntl(fd, fcntl.F_SETFL, flags | flag if on else flags & ~flag)
        except OSError:
            if not on:
                raise
            return False
        return on and flag != 0

    def sync_file(self, fd: int, path: str) -> None:
        """Make the bytes of an open file durable."""
        if sys.platform == "darwin":  # pragma: no cover - the tests have no such machine yet
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fsync(fd)


def process_id() -> int:
    """The running process; a forked child has another."""
    return os.getpid()
