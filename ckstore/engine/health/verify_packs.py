"""The part of verify() that looks at packs: the end of each, and every frame as it is stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from ckstore.engine.health.found import Found, Spoilt
from ckstore.errors import CkError, IntegrityError, MissingObjectError, StorageError
from ckstore.format import frame, pack
from ckstore.format.closure import Row
from ckstore.format.names import DIRECTORY, PACK
from ckstore.format.records import ObjectRef
from ckstore.store.repository import Repository

_READ_BYTES = 8 << 20


class _Place(NamedTuple):
    """Where a closure says that a frame lies."""

    chunk_id: bytes
    offset: int
    frame_bytes: int
    check: None = None


def sizes(repo: Repository, found: Found) -> dict[str, int] | None:
    """Bytes of every pack there is; None if the directory cannot be listed, which says nothing of the packs."""
    try:
        return repo.fs.sizes(DIRECTORY[PACK])
    except StorageError as error:
        found.add(f"directory {DIRECTORY[PACK]}", str(error))
        return None


def check(
    repo: Repository, ref: ObjectRef, size: int | None, level: str, found: Found,
    spoilt: Spoilt, needed: Iterable[Row],
) -> None:  # fmt: skip
    """Check one pack of `size` bytes (None: there is none) by its own table.

    needed: the rows of their closures, of any pack: they tell where its frames are if the table does not.
    """
    what = f"pack {ref.name}"
    rows: list[pack.TableRow] = []

    def table() -> None:
        if size is None:
            raise MissingObjectError(f"{what} is not in the store", object=what)
        if size != ref.n_bytes:
            raise IntegrityError(f"{what}: has {size} bytes instead of {ref.n_bytes}", object=what)
        rows.extend(repo.packs.table(ref))

    # a damaged table spoils no checkpoint: frames are found by their closures
    whole = found.guard(what, table)
    if level != "structure" and size is not None:
        found.n_bytes += size
        if whole:
            _check_frames(repo, ref.name, rows, found, spoilt)
        else:
            _check_needed(repo, ref.name, needed, found, spoilt)


def _check_frames(repo: Repository, name: str, rows: list[pack.TableRow], found: Found, spoilt: Spoilt) -> None:
    start = 0
    while start < len(rows):
        stop, size = start, 0
        while stop < len(rows) and (stop == start or size + rows[stop].frame_bytes <= _READ_BYTES):
            size += rows[stop].frame_bytes
            stop += 1
        _check_run(repo, name, rows[start:stop], found, spoilt)
        start = stop


def _check_needed(repo: Repository, name: str, needed: Iterable[Row], found: Found, spoilt: Spoilt) -> None:
    """Check the frames that closures name: damage to the table must not hide damage to them."""
    mine = {row.offset: row for row in needed if row.pack.name == name}
    for offset, row in sorted(mine.items()):
        _check_run(repo, name, [_Place(row.chunk_id, offset, row.frame_bytes)], found, spoilt)


def _check_run(
    repo: Repository, name: str, rows: Sequence[pack.TableRow | _Place], found: Found, spoilt: Spoilt
) -> None:
    """Check frames that lie side by side. They are read in one go, and one by one where the disk refuses that."""
    start, data = rows[0].offset, None
    with suppress(CkError, OSError):
        data = repo.packs.read(name, start, sum(row.frame_bytes for row in rows))
    for row in rows:
        what = f"pack {name}, frame at {row.offset}"
        found.n_objects += 1
        try:
            if data is None:
                part = repo.packs.read(name, row.offset, row.frame_bytes)
            else:
                part = data[row.offset - start :][: row.frame_bytes]
            _check_frame(row, part, what)
        except (CkError, OSError) as error:
            spoilt[name, row.offset] = str(error)
            found.add(what, str(error))


def _check_frame(row: pack.TableRow | _Place, data: memoryview, what: str) -> None:
    if frame.parse(data, what).chunk_id != row.chunk_id or row.check not in (None, pack.frame_check(data)):
        raise IntegrityError(f"{what}: is not the frame the pack's table or a closure says", object=what)
