"""The reserve: a file that means nothing and only takes room, so that a gc can begin where a disk is full."""

from __future__ import annotations

import contextlib
import secrets

from ckstore.errors import StorageError
from ckstore.store.fs import LocalFs

RESERVE = "reserve"
RESERVE_BYTES = 256 << 10
"""Room for the lease and the three roots of a gc: 64 KiB each at most."""
SHORT_BYTES = RESERVE_BYTES - 4096
"""As a gc leaves it that could not do all it wanted, as in an emergency: the next one must look everywhere."""


def size(fs: LocalFs) -> int:
    """Bytes of the reserve; 0: there is none."""
    return fs.sizes("").get(RESERVE, 0)


def is_whole(fs: LocalFs) -> bool:
    """Whether the reserve is there, in full."""
    return size(fs) >= RESERVE_BYTES


def make(fs: LocalFs, n_bytes: int = RESERVE_BYTES) -> bool:
    """Make the reserve, if it is not there and the disk has the room; whether it was made.

    DURABLE after the store's directory is synced.
    """
    if size(fs) >= n_bytes:
        return False
    try:
        fs.remove(RESERVE)  # cut short by a crash
        with fs.create(RESERVE) as out:
            out.write([secrets.token_bytes(n_bytes)])  # what a file system cannot compress takes real blocks
    except FileExistsError:
        return False  # another gc was first
    except StorageError:
        with contextlib.suppress(StorageError):
            fs.remove(RESERVE)
        return False
    return True


def shorten(fs: LocalFs) -> bool:
    """Make the reserve, but not a whole one; whether it was made. DURABLE as with make()."""
    if is_whole(fs):
        fs.remove(RESERVE)
    return make(fs, SHORT_BYTES)


def release(fs: LocalFs) -> None:
    """Give the room back to the disk."""
    fs.remove(RESERVE)
    fs.sync_dir("")
