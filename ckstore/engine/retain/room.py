"""What live checkpoints take on disk, object by object, and what would be left if some of them went.

gc frees whole objects: a pack stays while any checkpoint needs any frame of it. What a repack may free beside is not
counted, so that whatever is promised here is freed by any gc.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from ckstore.engine import reach
from ckstore.engine.reach import Needs, Object
from ckstore.format.names import DIRECTORY, PACK, ROOT
from ckstore.format.records import Entry, Root
from ckstore.store.repository import Repository
from ckstore.store.reserve import RESERVE_BYTES


class Room:
    """Checkpoints can be taken out, put back and made smaller; `n_bytes`, and of these `pack_bytes`, follow.

    needs: by checkpoint id, each object once. Changes nothing in the store.
    """

    def __init__(
        self, sizes: Mapping[Object, int], needs: Mapping[bytes, Collection[Object]], fixed_bytes: int
    ) -> None:
        self._sizes = sizes
        self._needs = dict(needs)
        self._users: Counter[Object] = Counter()
        self.n_bytes, self.pack_bytes = fixed_bytes, 0
        for checkpoint in self._needs:
            self.restore(checkpoint)

    def remove(self, checkpoint: bytes) -> None:
        """As if it were deleted."""
        for item in self._needs[checkpoint]:
            self._users[item] -= 1
            if not self._users[item]:
                self._count(item, -1)

    def restore(self, checkpoint: bytes) -> None:
        """As if it had not been removed."""
        for item in self._needs[checkpoint]:
            if not self._users[item]:
                self._count(item, 1)
            self._users[item] += 1

    def change(self, checkpoint: bytes, objects: Collection[Object]) -> None:
        """As if it needed these objects from now on."""
        self.remove(checkpoint)
        self._needs[checkpoint] = objects
        self.restore(checkpoint)

    def _count(self, item: Object, sign: int) -> None:
        size = sign * self._sizes.get(item, 0)
        self.n_bytes += size
        self.pack_bytes += size if item[0] == PACK else 0


def of_root(
    repo: Repository, root: Root, entries: Collection[Entry], known: Needs | None = None
) -> tuple[Room, list[Entry]]:
    """(the room of the checkpoints of `root`, those of them whose needs cannot be read).

    Fixed are the roots, the reserve, which every gc makes, and what serves them all: catalog pages and segments.
    known: what was read for another root, so that only what is new is read for this one.
    """
    sizes, known = reach.on_disk(repo), known or Needs(repo)
    needs: dict[bytes, Collection[Object]] = {}
    unknown: list[Entry] = []
    for entry in entries:
        needs[entry.id], is_all = reach.known(repo, root, entry, known)
        unknown.extend([] if is_all else [entry])
    fixed = sum(sizes.get(item, 0) for item in reach.of_all(repo, root)) + sum(repo.fs.sizes(DIRECTORY[ROOT]).values())
    return Room(sizes, needs, fixed + RESERVE_BYTES), unknown
