"""Every frame of every pack on disk, by its chunk id, whatever any closure or segment says: where repair looks.

A pack tells what it holds by its table; where that cannot be read, its frames are found by their magic and header.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ckstore.errors import UNREADABLE, StorageError
from ckstore.format import frame
from ckstore.format.envelope import HEADER_BYTES
from ckstore.format.names import DIRECTORY, PACK, is_object_name
from ckstore.store.repository import Repository

WINDOW_BYTES = 1 << 20
SECTOR_BYTES = 4096
_HEAD_BYTES = 160
WASTE = 4
"""A scan gives a pack up after reading it so many times over, in vain: a hostile one may hold magics without end."""


class Place(NamedTuple):
    """Where a frame lies, and the chunks it is based on."""

    chunk_id: bytes
    pack: str
    offset: int
    frame_bytes: int
    logical_bytes: int
    base_ids: tuple[bytes, ...]


class Scan:
    """The packs of a store as they are on disk."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo
        self._sizes = {name: size for name, size in repo.fs.sizes(DIRECTORY[PACK]).items() if is_object_name(name)}
        self._names = sorted(self._sizes)
        self._scanned: dict[str, list[_Seen]] = {}
        """Of the packs whose table cannot be read."""
        self.refused: StorageError | None = None
        """What the disk said, if it has refused a read: then a chunk that was not found may be there all the same."""

    def find(self, ids: Collection[bytes]) -> Iterator[Place]:
        """Every frame of these chunks that reads and passes its checks, pack by pack."""
        for name in self._holders(ids):
            for seen in self._frames(name):
                if seen.chunk_id in ids and (place := self._place(name, seen)) is not None:
                    yield place

    def _holders(self, ids: Collection[bytes]) -> list[str]:
        """The packs that may hold one of these chunks, by name."""
        leads, pack_of = self._index
        wanted = np.unique(_leads(ids))
        spans = zip(np.searchsorted(leads, wanted), np.searchsorted(leads, wanted, "right"), strict=True)
        numbers = {number for first, last in spans for number in pack_of[first:last].tolist()}
        return [self._names[number] for number in sorted(numbers)]

    @cached_property
    def _index(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
        """The leads of all chunks, sorted, and the pack of each; 12 bytes a frame.

        Chains are followed base by base: without this, every table would be read again for each.
        """
        parts = [_leads(seen.chunk_id for seen in self._frames(name)) for name in self._names]
        leads = np.concatenate([_leads(()), *parts])
        order = np.argsort(leads)
        return leads[order], np.repeat(np.arange(len(parts), dtype=np.uint32), list(map(len, parts)))[order]

    def _frames(self, name: str) -> list[_Seen]:
        if name in self._scanned:
            return self._scanned[name]
        try:
            table = self._repo.packs.table_of(name, self._sizes[name])
        except UNREADABLE as error:
            self._note(error)
            self._scanned[name] = list(_scanned(self._repo, name, self._sizes[name]))
            return self._scanned[name]
        return [_Seen(row.chunk_id, row.offset, row.frame_bytes) for row in table]

    def _place(self, name: str, seen: _Seen) -> Place | None:
        try:
            found = self._repo.packs.frame(name, seen.offset, seen.frame_bytes)
        except UNREADABLE as error:
            self._note(error)
            return None
        bases = tuple(base.chunk_id for base in found.bases)
        return Place(found.chunk_id, name, seen.offset, seen.frame_bytes, found.logical_bytes, bases)

    def _note(self, error: Exception) -> None:
        if isinstance(error, StorageError):
            self.refused = error


class _Seen(NamedTuple):
    chunk_id: bytes
    offset: int
    frame_bytes: int


def _leads(ids: Iterable[bytes]) -> npt.NDArray[np.uint64]:
    """The first eight bytes of each chunk id, as numbers."""
    return np.frombuffer(b"".join(chunk_id[:8] for chunk_id in ids), np.uint64)


def _scanned(repo: Repository, name: str, size: int) -> Iterator[_Seen]:
    """Frames of a pack without a table: each begins where another ends, or at the next magic behind a damaged one."""
    at, waste = HEADER_BYTES, WASTE * size
    while at < size and waste > 0:
        n_bytes = _stated(repo, name, at)
        if n_bytes is not None and at + n_bytes <= size:
            try:
                found = repo.packs.frame(name, at, n_bytes)
            except UNREADABLE:
                waste -= n_bytes
            else:
                yield _Seen(found.chunk_id, at, n_bytes)
                at += n_bytes
                continue
        at = _next_magic(repo, name, at + 1, size)


def _stated(repo: Repository, name: str, at: int) -> int | None:
    """The length of the frame that begins here, if its front is whole: no length is believed that was not checked."""
    try:
        head = repo.packs.read(name, at, _HEAD_BYTES)
        n_front = frame.front_bytes(head)
        if n_front is not None and n_front > len(head):
            head = repo.packs.read(name, at, n_front)
        return frame.stated_bytes(head)
    except UNREADABLE:
        return None


def _next_magic(repo: Repository, name: str, at: int, size: int) -> int:
    """Where the next frame may begin, from `at` on; `size` if nowhere. Sectors that cannot be read are passed over."""
    window = WINDOW_BYTES
    while at < size:
        try:
            data = bytes(repo.packs.read(name, at, window))
        except StorageError:
            if window > SECTOR_BYTES:
                window = SECTOR_BYTES
            else:
                at += SECTOR_BYTES
            continue
        hit = data.find(frame.MAGIC)
        if hit >= 0:
            return at + hit
        at, window = at + max(1, len(data) - len(frame.MAGIC) + 1), WINDOW_BYTES
    return size
