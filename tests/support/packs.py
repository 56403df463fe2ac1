"""Packs as files: what lies in them, and how to spoil it."""

from __future__ import annotations

import errno
from pathlib import Path

import ckstore
from ckstore.engine.parent import load_closure
from ckstore.format.closure import Row
from tests.support.door import Op
from tests.support.faults import Fault, FaultDoor


def pack_names(store: ckstore.Store) -> set[str]:
    """The packs that are on disk."""
    return {path.name for path in Path(store.path, "pack").iterdir()}


def pack_bytes(store: ckstore.Store) -> int:
    """What all packs take on disk."""
    return sum(path.stat().st_size for path in Path(store.path, "pack").iterdir())


def packs_of(store: ckstore.Store, ref: str) -> set[str]:
    """The packs that a checkpoint needs."""
    return {row.pack.name for row in rows_of(store, ref)}


def rows_of(store: ckstore.Store, ref: str) -> list[Row]:
    """The closure of a checkpoint."""
    return load_closure(store._session.repo, store._resolve(ref))[0]


def frame_bytes(store: ckstore.Store, row: Row) -> bytes:
    """What is stored of a row."""
    return Path(store.path, "pack", row.pack.name).read_bytes()[row.offset : row.offset + row.frame_bytes]


def overwrite(store: ckstore.Store, row: Row, data: bytes) -> None:
    """Put other bytes in the place of a frame."""
    path = Path(store.path, "pack", row.pack.name)
    whole = bytearray(path.read_bytes())
    whole[row.offset : row.offset + len(data)] = data
    path.write_bytes(whole)
    store._session.repo.packs.close_idle()


def spoil(store: ckstore.Store, row: Row) -> None:
    """Flip a bit of a frame's payload."""
    data = bytearray(frame_bytes(store, row))
    data[-1] ^= 1
    overwrite(store, row, bytes(data))


def no_room_in(directory: str) -> FaultDoor:
    """A disk without room for new files in one directory of the store."""

    class NoRoom(Fault):
        def hits(self, op: Op) -> bool:
            return op.verb == "create" and f"/{directory}/" in op.path

    return FaultDoor(NoRoom(errno.ENOSPC, 0, sticky=True))
