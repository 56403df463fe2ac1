"""Which chunks a worker of a restore decodes at a time: what needs the same frames together, and no more than fits.

Pure: rows and targets in, batches out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ckstore.engine.decode import needed_rows
from ckstore.format.closure import Row
from ckstore.format.records import TensorRow
from ckstore.tensor import Destination

BATCH_BYTES = 8 << 20
ALL_BATCHES_BYTES = 64 << 20
"""Stored and logical bytes of the chunks that a worker takes at once: at most so many, and all workers together so
many. A group whose chains alone take more is a batch of its own."""
MAX_TOGETHER = 16
"""Rows of one group, and BATCH_BYTES of chunks: what goes to memory that is not contiguous is held until all of it is
decoded."""


class Target(NamedTuple):
    """A chunk to be decoded, and where its bytes go."""

    row: int
    tensor: TensorRow
    destination: Destination
    start: int
    stop: int


Group = list[Target]
"""Targets in the order of their rows: one, others that it needs, and others that need these: weights, the moments that
they were predicted from, their copies and averages."""


@dataclass(slots=True)
class Batch:
    """Groups for one worker, and what they hold: all stored bytes where they fit, else a frame at a time."""

    groups: list[Group] = field(default_factory=list)
    needed: set[int] = field(default_factory=set)
    """The groups' rows and all that these depend on."""
    held_bytes: int = 0
    """Stored bytes of these, and logical bytes of the targets."""
    largest_bytes: int = 0
    """Of a chunk."""

    @property
    def cost(self) -> int:
        """Memory that work on it holds: frames, the chunks themselves, those of chains that are needed at a time (two,
        some six where weights are predicted from moments), and the codec's buffers."""
        return min(self.held_bytes, BATCH_BYTES) + 8 * self.largest_bytes

    def grown(self, needed: set[int], group: Group, rows: Sequence[Row]) -> int:
        """Bytes that the batch would hold with another group: frames, each once, and the targets' chunks."""
        return self.held_bytes + sum(rows[i].frame_bytes for i in needed - self.needed) + _logical_bytes(group, rows)

    def add(self, needed: set[int], group: Group, rows: Sequence[Row]) -> None:
        """Take another group."""
        self.held_bytes = self.grown(needed, group, rows)
        self.largest_bytes = max([self.largest_bytes, *(rows[i].logical_bytes for i in needed)])
        self.groups.append(group)
        self.needed |= needed


def limit(n_threads: int) -> int:
    """What a batch may hold where so many work at once."""
    return min(BATCH_BYTES, ALL_BATCHES_BYTES // n_threads)


def batches(targets: Sequence[Target], rows: Sequence[Row], most_bytes: int) -> Iterator[Batch]:
    """All targets, which come in the order of their rows; each batch holds at most so many bytes, or is one group."""
    batch = Batch()
    for group in groups(targets, rows):
        needed = needed_rows(rows, [target.row for target in group])
        if batch.groups and batch.grown(needed, group, rows) > most_bytes:
            yield batch
            batch = Batch()
        batch.add(needed, group, rows)
    if batch.groups:
        yield batch


def groups(targets: Iterable[Target], rows: Sequence[Row]) -> list[Group]:
    """The targets, in the order of the last ones of their groups."""
    of_row: dict[int, list[Target]] = {}
    for target in targets:
        of_row.setdefault(target.row, []).append(target)
    left = dict.fromkeys(of_row)
    found: list[list[int]] = [[]]
    for last in reversed(of_row):
        if last in left:
            needed = needed_rows(rows, [last])
            if needed.isdisjoint(found[-1]) or not _fits(last, found[-1], rows):
                found.append([])
            for i in sorted(needed & left.keys(), reverse=True):
                if not _fits(i, found[-1], rows):
                    break
                found[-1].append(i)
                del left[i]
    return [[target for i in sorted(group) for target in of_row[i]] for group in reversed(found) if group]


def _fits(i: int, group: Sequence[int], rows: Sequence[Row]) -> bool:
    """Whether another row may join; the first one always may."""
    n_bytes = sum(rows[one].logical_bytes for one in (*group, i))
    return not group or (len(group) < MAX_TOGETHER and n_bytes <= BATCH_BYTES)


def _logical_bytes(group: Group, rows: Sequence[Row]) -> int:
    return sum(rows[i].logical_bytes for i in {target.row for target in group})
