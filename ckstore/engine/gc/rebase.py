"""Rebase: live frames with bases that live only for them are encoded anew without these, so that the bases can go.

Done for a group of support frames (support.py) where what is freed is at least what must be written. The new frames are
decoded and compared before they are published; closures then name them in place of the old ones, without the rows that
nobody needs any more. As with repack, nothing is condemned here, and chains only get shorter: another frame on top of a
rebased one is decoded from the same logical bytes.

The bytes of the bases are freed with their pack: at once where all of it is dead, else when a repack finds it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from ckstore._native import kernels
from ckstore.codec import scratch
from ckstore.codec.chunk import Reference, decode_into, encode
from ckstore.engine.decode import Decoder, row_name
from ckstore.engine.gc import frames, support, uses
from ckstore.engine.gc.frames import Keys, Numbers
from ckstore.engine.gc.relocate import Relocation
from ckstore.engine.gc.support import Groups
from ckstore.engine.gc.upkeep import Progress, Tended, Upkeep
from ckstore.engine.gc.uses import Uses
from ckstore.engine.parent import load_closure, load_manifest
from ckstore.engine.reach import Object
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE, CkError, UnsupportedError
from ckstore.format.closure import Row
from ckstore.format.frame import ROLE_PREVIOUS, Base, Frame
from ckstore.format.pack import Packed, packed
from ckstore.format.records import Entry, TensorRow
from ckstore.store.repository import Repository


class Plan(NamedTuple):
    """Frames to be encoded anew."""

    tops: Keys
    """Sorted."""
    group: Numbers
    freed_bytes: Numbers
    """By group."""
    support: Keys
    """Sorted."""
    users: list[Entry]
    """Every checkpoint that has a frame of these groups, oldest first."""
    n_bytes: int
    """About what will be written."""


def plan(found: Uses, groups: Groups | None, max_bytes: int | None) -> Plan | None:
    """The groups that are worth it, those with the greatest gain first if there is a limit."""
    if groups is None:
        return None
    worth = (groups.cost_bytes > 0) & (groups.freed_bytes >= groups.cost_bytes)
    if max_bytes is not None:
        order = np.flatnonzero(worth)
        order = order[np.argsort(groups.cost_bytes[order] - groups.freed_bytes[order], kind="stable")]
        worth[order[np.cumsum(groups.cost_bytes[order]) > max_bytes]] = False
    mine = worth[groups.top_group]
    if not mine.any():
        return None
    going = np.sort(groups.support[worth[groups.support_group]])
    held = support.users(found, going)
    n_bytes = int(groups.top_bytes[mine].sum())
    return Plan(groups.tops[mine], groups.top_group[mine], groups.freed_bytes, going, held, n_bytes)


class _Tally:
    """What the new frames of each group take, and which of its tops have one."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._n_bytes = np.full(len(plan.tops), -1, np.int64)

    def open(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Which of these frames are still to be encoded."""
        at = np.minimum(np.searchsorted(self._plan.tops, keys), len(self._plan.tops) - 1)
        is_open: npt.NDArray[np.bool_] = (self._plan.tops[at] == keys) & (self._n_bytes[at] < 0)
        return is_open

    def note(self, key: int, n_bytes: int) -> None:
        """This frame has a new one of so many bytes."""
        self._n_bytes[np.searchsorted(self._plan.tops, np.uint64(key))] = n_bytes

    def failed(self) -> set[int]:
        """Frames of groups that are not whole, or not worth it after all."""
        cost = np.bincount(self._plan.group, np.maximum(self._n_bytes, 0), len(self._plan.freed_bytes))
        out = cost > self._plan.freed_bytes
        out[self._plan.group[self._n_bytes < 0]] = True
        return set(self._plan.tops[out[self._plan.group]].tolist())


def run(session: Session, dead: Mapping[Object, int], upkeep: Upkeep, progress: Progress, tended: Tended) -> None:
    """Rebase what the death of these objects has made worth it.

    Raises WriterExpired (begin again), CorruptError for the head of a closure, StorageError.
    """
    repo = session.repo
    if not (upkeep.everywhere or support.may_be_new(dead)):
        return
    with repo.writer() as writer:
        found = uses.of_root(repo, writer.root)
        suspected = support.suspects(repo, found, dead, upkeep.everywhere)
        groups = support.find(repo, found, suspected) if suspected.any() else None
        chosen = plan(found, groups, upkeep.max_bytes)
        if chosen is None:
            return
        relocation, tally = Relocation(session, writer), _Tally(chosen)
        _encode(session, found, chosen, tally, relocation, progress, tended)
        failed = tally.failed()
        relocation.forget(lambda place: found.packs.key(*place) in failed)
        n_frames, n_bytes = relocation.publish(chosen.users)
    repo.packs.close_idle()
    tended.rebased += n_frames
    tended.rebased_bytes += n_bytes


def _encode(
    session: Session, found: Uses, chosen: Plan, tally: _Tally, relocation: Relocation, progress: Progress,
    tended: Tended,
) -> None:  # fmt: skip
    done = 0
    for entry in chosen.users:
        try:
            rows, keys, dtypes = _todo(session.repo, entry, found, tally)
        except (*UNREADABLE, UnsupportedError):
            continue  # then its groups stay as they are

        def work(
            i: int, rows: Sequence[Row] = rows, keys: Keys = keys, dtypes: dict[int, str] = dtypes
        ) -> tuple[int, Packed | str]:
            bases = rows[i].bases
            stay = [
                base for base, goes in zip(bases, np.isin(keys[list(bases)], chosen.support), strict=True) if not goes
            ]
            return i, encoded_anew(session.repo, rows, i, dtypes[i], stay)

        cost = {i: 6 * rows[i].logical_bytes for i in dtypes}
        for i, frame in session.map(work, dtypes, cost.__getitem__):
            if isinstance(frame, str):
                tended.unmovable[row_name(rows[i])] = frame
                continue
            relocation.put(rows[i], frame)
            tally.note(int(keys[i]), frame.frame.frame_bytes)
            done += frame.frame.frame_bytes
            progress(min(done, chosen.n_bytes), chosen.n_bytes, "encoding without old bases")


def _todo(repo: Repository, entry: Entry, found: Uses, tally: _Tally) -> tuple[Sequence[Row], Keys, dict[int, str]]:
    """(rows of a checkpoint, their keys, the dtypes of those to be encoded), where its own manifest names the chunk."""
    numbers = frames.read(repo, entry, found.packs)
    if not tally.open(numbers.keys).any():
        return [], numbers.keys, {}
    rows, _ = load_closure(repo, entry)
    dtype_of = _dtypes(repo, entry, {rows[i].chunk_id for i in np.flatnonzero(tally.open(numbers.keys))})
    todo = np.flatnonzero(tally.open(numbers.keys)).tolist()
    return rows, numbers.keys, {i: dtype_of[rows[i].chunk_id] for i in todo if rows[i].chunk_id in dtype_of}


def _dtypes(repo: Repository, entry: Entry, wanted: set[bytes]) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for row, columns in load_manifest(repo, entry, repo.root().chunk_elements)[0]:
        if isinstance(row, TensorRow):
            mine = wanted.intersection(map(columns.chunk_id, range(columns.n_chunks)))
            found.update(dict.fromkeys(mine, row.dtype))
    return found


def encoded_anew(repo: Repository, rows: Sequence[Row], i: int, dtype: str, stay: Collection[int]) -> Packed | str:
    """A frame for the chunk of row i whose bases are at most the rows that stay, decoded again and compared; or what is
    wrong. Of those that stay only the chunk that it was a difference to will do: all else went with what goes."""
    decoder, chunk_id = Decoder(repo, rows), rows[i].chunk_id
    try:
        decoder.prefetch([i])
        data = decoder.chunk(i)
        if blake3(data).digest() != chunk_id:
            return f"{row_name(rows[i])}: decoded bytes do not match their BLAKE3 id"
        roles = zip(decoder.frame(i).bases, rows[i].bases, strict=True)
        previous = [at for base, at in roles if base.role == ROLE_PREVIOUS and at in stay]
        references = [Reference(ROLE_PREVIOUS, dtype, memoryview(decoder.chunk(at))) for at in previous]
        encoded = encode(memoryview(data), dtype, references)
        back = bytearray(len(data))
        bases = [references[used].data for used in encoded.used]
        decode_into(encoded.codec, encoded.params, memoryview(encoded.payload), bases, memoryview(back))
    except (CkError, OSError) as error:
        return str(error)
    if not kernels.equal(scratch.as_bytes(memoryview(back)), scratch.as_bytes(memoryview(data))):
        return f"{row_name(rows[i])}: its chunk, encoded anew, does not decode to what it was"
    now = tuple(Base(ROLE_PREVIOUS, rows[previous[used]].chunk_id) for used in encoded.used)
    return packed(Frame(encoded.codec, chunk_id, len(data), now, encoded.params, encoded.payload))
