"""Repack: live frames are copied out of packs that are mostly dead, so that the whole pack can go.

Why it is safe:

- Nothing is condemned here. New packs and closures are published by one root step (republish.py), which touches only
  entries that still are what they were; from then on the old packs are dead like any other, and mark, condemn, wait,
  delete, clear apply, with floor and rescue. Whoever came to need an old pack before that step keeps it alive.
- A frame is copied byte for byte, from the very bytes that were parsed, decoded and compared with the chunk's id just
  before. (A repack that moved damaged frames, and then removed the good ones: rustic#88.) What fails this stays where
  it is, and its pack is reported.

Which packs: heads of closures tell for each the most that one checkpoint uses, and so what may be dead at most. For
those where that is much, the rows of the closures that use them tell what all of them use together; a page of rows that
several closures share is read once. So a store with nothing to repack costs no rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from ckstore.engine.decode import Decoder, row_name
from ckstore.engine.gc import uses
from ckstore.engine.gc.frames import OFFSET_BITS, KeySet, Numbers, PackNumbers, pack_of
from ckstore.engine.gc.relocate import Relocation, place_of
from ckstore.engine.gc.upkeep import Progress, Tended, Upkeep
from ckstore.engine.gc.uses import Uses
from ckstore.engine.parent import load_closure
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE, CkError, UnsupportedError
from ckstore.format import closure
from ckstore.format.closure import Row
from ckstore.format.names import CLOSURE
from ckstore.format.pack import Packed, packed
from ckstore.format.records import ClosurePage, Entry, Root
from ckstore.store.repository import Repository

OVERHEAD_BYTES, ROW_BYTES = 130, 56
"""Of a pack: what is no frame at all, and its table's bytes for each frame (FORMAT.md §7.1)."""

Mask = npt.NDArray[np.bool_]


class Choice(NamedTuple):
    """Packs worth emptying."""

    packs: set[str]
    users: list[Entry]
    """Oldest first."""
    live_bytes: int
    dead_bytes: int


def choose(repo: Repository, root: Root, upkeep: Upkeep) -> Choice:
    """The packs with the greatest dead share, as many as may be moved now. Raises CorruptError as uses.of_root()."""
    found = uses.of_root(repo, root)
    there = found.sizes > 0
    room = np.where(there, found.sizes - found.most_used(), 0)
    candidates = room >= np.maximum(1, upkeep.dead_share * found.sizes)
    live = _live_bytes(repo, found, candidates)
    dead = np.where(candidates, found.sizes - live, 0)
    share = dead / np.maximum(1, found.sizes)
    limit, chosen = upkeep.limit(int(found.sizes.sum())), np.zeros(len(candidates), np.bool_)
    for i in np.argsort(-share, kind="stable"):
        if not candidates[i] or dead[i] <= 0 or share[i] < upkeep.dead_share or live[i] > limit:
            continue
        limit -= int(live[i])
        chosen[i] = True
    names = {name for name, mine in zip(found.packs.names, chosen, strict=True) if mine}
    users = found.users(chosen) if names else []
    return Choice(names, users, int(live[chosen].sum()), int(dead[chosen].sum()))


def _live_bytes(repo: Repository, found: Uses, candidates: Mask) -> Numbers:
    """Bytes of each candidate that live checkpoints need together, with their part of the pack's own; takes from
    `candidates` what a checkpoint uses that cannot be read."""
    keys, seen = KeySet(), set[bytes]()
    for entry in found.users(candidates):
        try:
            for page in _new_pages(repo, entry, seen):
                _collect(page, f"closure {entry.closure.name}", found.packs, candidates, keys)
        except (*UNREADABLE, UnsupportedError):
            mine = {use.name for use in repo.objects.closure(entry.closure).packs}
            candidates &= ~found.mask(mine)
    live, n_bytes = keys.sorted()
    total = np.bincount(pack_of(live), n_bytes + ROW_BYTES, minlength=len(candidates)).astype(np.int64)
    return total + OVERHEAD_BYTES


def _new_pages(repo: Repository, entry: Entry, seen: set[bytes]) -> list[ClosurePage]:
    head = repo.objects.closure(entry.closure)
    new = [page for page in head.pages if page.digest not in seen]
    pages = list(repo.objects.pages(CLOSURE, entry.closure.name, new, ClosurePage))
    seen.update(page.digest for page in new)
    return pages


def _collect(page: ClosurePage, what: str, packs: PackNumbers, candidates: Mask, keys: KeySet) -> None:
    rows = closure.of_page(page, what)
    numbers = np.array([packs.find(ref.name) for ref in page.packs], np.int64)[rows.pack_of]
    mine = (numbers >= 0) & candidates[numbers] & (rows.offsets < np.uint64(1 << OFFSET_BITS))
    where = (numbers[mine].astype(np.uint64) << np.uint64(OFFSET_BITS)) | rows.offsets[mine]
    keys.add(where, rows.frame_bytes[mine].astype(np.int64))


def run(session: Session, upkeep: Upkeep, progress: Progress, tended: Tended) -> None:
    """Empty what choose() finds. Raises WriterExpired (begin again), CorruptError as choose(), StorageError."""
    with session.repo.writer() as writer:
        choice = choose(session.repo, writer.root, upkeep)
        if not choice.packs:
            return
        relocation = Relocation(session, writer)
        spoilt = _copy(session, choice, relocation, progress)
        relocation.forget(lambda place: place[0] in spoilt)
        _, n_bytes = relocation.publish(choice.users)
    session.repo.packs.close_idle()
    tended.packs += len(choice.packs - spoilt.keys())
    tended.moved_bytes += n_bytes
    tended.unmovable.update({f"pack {name}": problem for name, problem in spoilt.items()})


def _copy(session: Session, choice: Choice, relocation: Relocation, progress: Progress) -> dict[str, str]:
    """Copy the live frames of the chosen packs; what is wrong, by pack that holds a frame which cannot be moved."""
    spoilt: dict[str, str] = {}
    done = 0
    for entry in choice.users:
        try:
            rows, _ = load_closure(session.repo, entry)
        except (*UNREADABLE, UnsupportedError):
            continue  # damaged since it was looked at: it keeps the old packs alive

        def work(i: int, rows: list[Row] = rows) -> tuple[int, Packed | str]:
            return i, checked(session.repo, rows, i)

        todo = [i for i, row in enumerate(rows) if row.pack.name in choice.packs and row not in relocation]
        todo = [i for i in todo if rows[i].pack.name not in spoilt]
        cost = {i: 6 * rows[i].logical_bytes for i in todo}
        for i, frame in session.map(work, todo, cost.__getitem__):
            if isinstance(frame, str):
                spoilt[place_of(rows[i])[0]] = frame
            else:
                relocation.put(rows[i], frame)
                done += rows[i].frame_bytes
                progress(done, choice.live_bytes, "moving live frames")
    return spoilt


def checked(repo: Repository, rows: Sequence[Row], i: int) -> Packed | str:
    """The frame of row i as it lies, if it decodes to the chunk it should; else what is wrong."""
    decoder = Decoder(repo, rows)
    try:
        decoder.prefetch([i])
        data = decoder.chunk(i)
        if blake3(data).digest() != rows[i].chunk_id:
            return f"{row_name(rows[i])}: decoded bytes do not match their BLAKE3 id"
        return packed(decoder.frame(i))
    except (CkError, OSError) as error:
        return str(error)
