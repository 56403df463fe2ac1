"""Which checkpoint uses which pack, and how much of it: from the heads of closures alone, without any row."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ckstore.engine import catalog
from ckstore.engine.gc.frames import Numbers, PackNumbers
from ckstore.format.names import DIRECTORY, PACK
from ckstore.format.records import Entry, Root
from ckstore.store.repository import Repository


@dataclass(frozen=True)
class Uses:
    """One use a checkpoint and pack, as columns."""

    entries: list[Entry]
    """Oldest first."""
    packs: PackNumbers
    sizes: Numbers
    """Bytes on disk, by pack; 0: it is not there."""
    entry_of: Numbers
    pack_of: Numbers
    used: Numbers
    """Bytes of the frames that the checkpoint needs."""

    def users(self, packs: npt.NDArray[np.bool_]) -> list[Entry]:
        """The checkpoints that use any of these packs (a mask by number), oldest first."""
        return [self.entries[i] for i in np.unique(self.entry_of[packs[self.pack_of]])]

    def most_used(self) -> Numbers:
        """By pack, the most that one checkpoint uses of it: all of them together use at least that."""
        most = np.zeros(len(self.sizes), np.int64)
        np.maximum.at(most, self.pack_of, self.used)
        return most

    def mask(self, names: set[str]) -> npt.NDArray[np.bool_]:
        """Packs of these names, by number."""
        return np.array([name in names for name in self.packs.names], np.bool_)


def of_root(repo: Repository, root: Root) -> Uses:
    """The uses under `root`. Raises CorruptError if a closure's head cannot be read."""
    entries = list(catalog.entries(repo, root))[::-1]
    packs = PackNumbers()
    columns = array("q"), array("q"), array("q")
    for i, entry in enumerate(entries):
        for use in repo.objects.closure(entry.closure).packs:
            for column, value in zip(columns, (i, packs.of(use.name), use.used_bytes), strict=True):
                column.append(value)
    on_disk = repo.fs.sizes(DIRECTORY[PACK])
    sizes = np.array([on_disk.get(name, 0) for name in packs.names], np.int64)
    return Uses(entries, packs, sizes, *(np.array(column, np.int64) for column in columns))
