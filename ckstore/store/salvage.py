"""The roots of a store whose newest one may be damaged, as repair, and nobody else, may read them.

A damaged newest root n is an error for every reader and writer, since older roots may name what has been deleted since.
Here the newest older root that reads stands in for it under the number n: who goes on from it makes root n + 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ckstore.errors import CorruptError
from ckstore.format.names import DIRECTORY, ROOT, root_number
from ckstore.format.records import Root
from ckstore.store.roots import Roots


class SalvagedRoots(Roots):
    """As Roots, but past a damaged newest root."""

    damaged: CorruptError | None = None
    """What is wrong with the newest root, if it was found damaged."""
    stand_in = 0
    """Number of the root that stands in for it."""
    lost = 0
    """Number of that newest root."""

    def _newest(self) -> tuple[Root, bytes]:
        try:
            return super()._newest()
        except CorruptError as error:
            return self._stand_in(error)

    def _stand_in(self, error: CorruptError) -> tuple[Root, bytes]:
        number = self.newest_number()
        for root, digest in self.older(number - 1):
            self.damaged, self.stand_in, self.lost = error, root.number, number
            return msgspec.structs.replace(root, number=number), digest
        raise error

    def older(self, number: int) -> Iterator[tuple[Root, bytes]]:
        """Every root up to `number` that is there and reads, newest first; (root, digest)."""
        names = self._fs.names(DIRECTORY[ROOT])
        for n in sorted((n for n in map(root_number, names) if n is not None and n <= number), reverse=True):
            try:
                yield self.read(n)
            except (CorruptError, FileNotFoundError):
                continue

    def is_stand_in(self, root: Root) -> bool:
        """Whether `root` stands in for a damaged one."""
        return self.damaged is not None and root.number == self.lost
