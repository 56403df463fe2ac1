"""What an archive pass has still to try: old checkpoints without its note, and live frames of their packs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from ckstore.engine import reach
from ckstore.engine.gc import frames
from ckstore.engine.gc.frames import Keys, KeySet, Numbers, pack_of
from ckstore.engine.gc.support import in_packs
from ckstore.engine.gc.uses import Uses
from ckstore.errors import UNREADABLE, UnsupportedError
from ckstore.format import envelope
from ckstore.format.limits import MAX_NOTES_BYTES
from ckstore.format.records import Entry
from ckstore.store.packs import PACK_BYTES
from ckstore.store.repository import Repository

NOTE = "archive"
"""Key of `extra` of an entry: the GENERATION that has tried all frames of the checkpoint."""
GENERATION = 1
"""To be raised with a codec for which old frames are worth another try."""
_MOST_BYTES = 2 * PACK_BYTES
"""Larger packs, which no ckstore writes, are left alone: the frames of one are held in memory."""

Mask = npt.NDArray[np.bool_]


def is_noted(entry: Entry) -> bool:
    """Whether all frames of a checkpoint were tried."""
    found = envelope.decode_map(entry.extra, reach.ref_of(entry)).get(NOTE, 0)
    return isinstance(found, int) and found >= GENERATION


def with_note(entry: Entry) -> Entry:
    """The entry that says so, if it has room to."""
    noted = envelope.encode_map({**envelope.decode_map(entry.extra, reach.ref_of(entry)), NOTE: GENERATION})
    return msgspec.structs.replace(entry, extra=noted) if len(bytes(noted)) <= MAX_NOTES_BYTES else entry


class Choice(NamedTuple):
    """What is to be tried."""

    entries: list[Entry]
    """Oldest first."""
    packs: Numbers
    """By number, in the order in which the entries came to use them."""
    n_bytes: int
    """Of these packs."""


def choose(found: Uses, newest: int, judged: Container[str] = ()) -> Choice:
    """Old checkpoints without the note, and their packs but for those `judged`. newest: of each run are not old."""
    seen: Counter[str] = Counter()
    old: list[int] = []
    for i in reversed(range(len(found.entries))):
        entry = found.entries[i]
        seen[entry.run] += 1
        if seen[entry.run] > newest and not is_noted(entry):
            old.append(i)
    used = found.pack_of[np.isin(found.entry_of, old)]
    unique, first = np.unique(used, return_index=True)
    names, in_order = found.packs.names, unique[np.argsort(first)]
    is_open = [names[p] not in judged and 0 < found.sizes[p] <= _MOST_BYTES for p in in_order.tolist()]
    packs = in_order[np.array(is_open, np.bool_)]
    return Choice([found.entries[i] for i in reversed(old)], packs, int(found.sizes[packs].sum()))


class Live(NamedTuple):
    """Live frames of some packs, once each: n rows, by entry and row."""

    keys: Keys
    frame_bytes: Numbers
    entry: Numbers
    """Position in `entries`: the oldest checkpoint that names the frame."""
    row: Numbers
    """In the closure of that."""
    tried: Mask
    """Whether a noted checkpoint names it."""
    entries: Sequence[Entry]

    def take(self, mine: Mask) -> Live:
        """Some of them."""
        columns = self.keys[mine], self.frame_bytes[mine], self.entry[mine], self.row[mine], self.tried[mine]
        return Live(*columns, self.entries)

    def of_pack(self, number: int) -> Live:
        """Those of one pack."""
        return self.take(pack_of(self.keys) == number)

    def of_each_entry(self) -> Iterator[tuple[Entry, Live]]:
        """Those of each entry."""
        for at in np.unique(self.entry).tolist():
            yield self.entries[at], self.take(self.entry == at)


def live_of(repo: Repository, found: Uses, packs: Numbers) -> Live:
    """The live frames of these packs, but for packs that a checkpoint uses that cannot be read."""
    wanted = np.zeros(len(found.sizes), np.bool_)
    wanted[packs] = True
    nothing = np.empty(0, np.int64)
    seen, tried = np.empty(0, np.uint64), KeySet()
    parts: list[tuple[Keys, Numbers, Numbers, Numbers]] = [(seen, nothing, nothing, nothing)]
    users = found.users(wanted)
    for at, entry in enumerate(users):
        try:
            rows = frames.read(repo, entry, found.packs)
        except (*UNREADABLE, UnsupportedError):
            wanted &= ~found.mask({use.name for use in repo.objects.closure(entry.closure).packs})
            continue
        mine = np.flatnonzero(in_packs(rows.keys, wanted))
        if is_noted(entry):
            tried.add(rows.keys[mine], rows.frame_bytes[mine])
        new = mine[~np.isin(rows.keys[mine], seen)]
        seen = np.union1d(seen, rows.keys[new])
        parts.append((rows.keys[new], rows.frame_bytes[new], np.full(len(new), at), new))
    keys, n_bytes, entry_of, row_of = (np.concatenate(column) for column in zip(*parts, strict=True))
    live = Live(keys, n_bytes, entry_of, row_of, np.isin(keys, tried.sorted()[0]), users)
    return live.take(in_packs(keys, wanted))
