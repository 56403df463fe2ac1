"""The frames of live closures as numbers: what gc reasons about where a store holds millions of them.

A frame is a key: the number of its pack and its offset there, in 64 bits. A chunk is the first eight bytes of its id:
if two chunks ever agreed in these, a frame would count as needed that is not, and never the other way round.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ckstore.errors import FormatError, UnsupportedError
from ckstore.format import closure
from ckstore.format.names import CLOSURE, MANIFEST
from ckstore.format.records import ClosurePage, Entry, ManifestPage
from ckstore.store.repository import Repository

OFFSET_BITS = 40
"""Packs of a tebibyte and more are left alone."""
_COMPACT_KEYS = 1 << 21

Keys: TypeAlias = npt.NDArray[np.uint64]
Numbers: TypeAlias = npt.NDArray[np.int64]


class PackNumbers:
    """Packs in the order in which they were first seen."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}

    def of(self, name: str) -> int:
        """Number of a pack, a new one if need be."""
        return self._number.setdefault(name, len(self._number))

    def find(self, name: str) -> int:
        """Number of a pack that was seen, else -1."""
        return self._number.get(name, -1)

    @property
    def names(self) -> list[str]:
        """By number."""
        return list(self._number)

    def key(self, name: str, offset: int) -> int:
        """The key of one frame."""
        return (self.of(name) << OFFSET_BITS) | offset


def pack_of(keys: Keys) -> Numbers:
    """Pack numbers of some frames."""
    return (keys >> np.uint64(OFFSET_BITS)).astype(np.int64)


class Frames(NamedTuple):
    """The n rows of one closure."""

    chunks: Keys
    keys: Keys
    frame_bytes: Numbers
    edges: Numbers
    """(m, 2): a row, and a row that it is decoded from, which is always an earlier one."""
    logical_bytes: Numbers

    def alone_bytes(self) -> Numbers:
        """About what each row would take without bases: as the frame at the bottom of its chain."""
        below = np.arange(len(self.keys))
        below[self.edges[::-1, 0]] = self.edges[::-1, 1]  # the first base, where there are several
        while not np.array_equal(deeper := below[below], below):
            below = deeper
        return np.minimum(np.maximum(self.frame_bytes, self.frame_bytes[below]), self.logical_bytes)


def read(repo: Repository, entry: Entry, packs: PackNumbers) -> Frames:
    """The rows of a checkpoint's closure. Raises CorruptError, UnsupportedError."""
    what = f"closure {entry.closure.name}"
    head = repo.objects.closure(entry.closure)
    parts: list[tuple[Keys, Keys, Numbers, Numbers, Numbers]] = []
    n = 0
    for page in repo.objects.pages(CLOSURE, entry.closure.name, head.pages, ClosurePage):
        rows = closure.of_page(page, what)
        of_rows = np.repeat(np.arange(n, n + len(rows.ids)), rows.n_bases)
        edges = np.stack([of_rows, rows.bases.astype(np.int64)], axis=1)
        sizes = rows.frame_bytes.astype(np.int64), rows.logical_bytes.astype(np.int64)
        parts.append((chunks_of(page.chunk_ids), _keys(page, rows, packs), sizes[0], edges, sizes[1]))
        n += len(rows.ids)
    if not parts:
        nothing = np.empty(0, np.int64)
        return Frames(np.empty(0, np.uint64), np.empty(0, np.uint64), nothing, np.empty((0, 2), np.int64), nothing)
    found = Frames(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    if (found.edges[:, 1] >= found.edges[:, 0]).any():
        raise FormatError(f"{what}: a row depends on a row after it", object=what)
    return found


def _keys(page: ClosurePage, rows: closure.Columns, packs: PackNumbers) -> Keys:
    for ref in page.packs:
        if ref.n_bytes >> OFFSET_BITS:
            raise UnsupportedError(f"pack {ref.name} is too large for gc to look into: it stays as it is")
    numbers = np.array([packs.of(ref.name) for ref in page.packs], np.uint64)
    return (numbers[rows.pack_of] << np.uint64(OFFSET_BITS)) | rows.offsets


def chunks_of(chunk_ids: bytes) -> Keys:
    """The first eight bytes of each id of a column."""
    return np.frombuffer(chunk_ids, "<u8")[::4]


def direct(repo: Repository, entry: Entry) -> Keys:
    """The chunks that a checkpoint's manifest names: what it is made of, without the bases of that. Sorted."""
    head = repo.objects.manifest(entry.manifest)
    pages = repo.objects.pages(MANIFEST, entry.manifest.name, head.pages, ManifestPage)
    columns = [chunks_of(page.chunk_ids[: len(page.chunk_ids) // 32 * 32]) for page in pages]
    return np.unique(np.concatenate(columns)) if columns else np.empty(0, np.uint64)


class KeySet:
    """Collects keys, each with its bytes, and now and then drops those that come again."""

    def __init__(self) -> None:
        self._parts: list[tuple[Keys, Numbers]] = []
        self._n = 0

    def add(self, keys: Keys, n_bytes: Numbers) -> None:
        """Take some in."""
        self._parts.append((keys, n_bytes))
        self._n += len(keys)
        if self._n > _COMPACT_KEYS and len(self._parts) > 1:
            self._parts = [self.sorted()]
            self._n = len(self._parts[0][0]) // 2  # so that the work stays in proportion to what comes in

    def sorted(self) -> tuple[Keys, Numbers]:
        """(all keys, once each and in order; their bytes)."""
        if not self._parts:
            return np.empty(0, np.uint64), np.empty(0, np.int64)
        keys, n_bytes = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        unique, first = np.unique(keys, return_index=True)
        return unique, n_bytes[first]
