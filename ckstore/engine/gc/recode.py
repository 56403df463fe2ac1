"""The frames of one pack, each encoded again where it can be smaller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from blake3 import blake3

from ckstore._native import kernels
from ckstore.codec import scratch
from ckstore.codec.again import Stored, encode
from ckstore.codec.chunk import Encoded, decode_into
from ckstore.engine.decode import Decoder, row_name
from ckstore.engine.gc import members
from ckstore.engine.gc.members import Member
from ckstore.engine.gc.repack import checked
from ckstore.engine.gc.tried import Live
from ckstore.engine.gc.upkeep import Tended
from ckstore.engine.parent import load_closure
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE, CkError, UnsupportedError
from ckstore.format.closure import Row
from ckstore.format.frame import Frame
from ckstore.format.pack import Packed, packed
from ckstore.format.records import Entry
from ckstore.store.repository import Repository

Make = Callable[[Sequence[Row], int, Member], Packed | str]
"""A frame for a row, or what is wrong with the one it has."""
LEAST_SHARE = 0.01
"""Of a frame, and of all live frames of a pack, that a new form must save."""


_HOPE, _EVERY = 0.005, 7
"""What a sample of a pack must save for the others to be tried: one frame in seven, which does not keep step with the
parts of an optimizer. So a store of `balanced` checkpoints costs a seventh."""
Forms = list[tuple[Row, Packed]]
"""The frames of a pack in the form in which they are to move: smaller, or as they lie."""


class Reader:
    """Rows and members of checkpoints; remembers those of one, as packs of a checkpoint come one after the other."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo
        self._entry: Entry | None = None
        self._rows: list[Row] = []
        self._members: dict[bytes, Member] = {}

    def read(self, entry: Entry) -> tuple[list[Row], dict[bytes, Member]]:
        """(rows of its closure, what its manifest says of chunks, by id). Raises CorruptError for the first."""
        if entry is not self._entry:
            self._rows, _ = load_closure(self._repo, entry)
            self._members = members.of_entry(self._repo, entry, {row.chunk_id for row in self._rows})
            self._entry = entry
        return self._rows, self._members


def recoded(session: Session, reader: Reader, live: Live, tended: Tended) -> Forms | None:
    """What becomes of a pack with these live frames; None: it stays as it is, because nothing is to be gained by it or
    because one of its frames cannot be read, which is noted."""

    def again(rows: Sequence[Row], i: int, member: Member) -> Packed | str:
        return encoded_again(session.repo, rows, i, member)

    def as_it_lies(rows: Sequence[Row], i: int, _: Member) -> Packed | str:
        found = checked(session.repo, rows, i)
        return found if isinstance(found, str) else _own(found.frame)

    in_sample = ~live.tried & (np.cumsum(~live.tried) % _EVERY == 1)
    sample = _each(session, reader, live.take(in_sample), again, tended)
    tended.tried_bytes += _bytes(sample)
    if sample is None or _saved(sample) < max(1, _HOPE * _bytes(sample)):
        return None
    others = _each(session, reader, live.take(~live.tried & ~in_sample), again, tended)
    tended.tried_bytes += _bytes(others)
    if others is None or _saved([*sample, *others]) < LEAST_SHARE * int(live.frame_bytes.sum()):
        return None
    rest = _each(session, reader, live.take(live.tried), as_it_lies, tended)
    return None if rest is None else [*sample, *others, *rest]


def _bytes(forms: Forms | None) -> int:
    return sum(row.frame_bytes for row, _ in forms or ())


def _saved(forms: Forms) -> int:
    return sum(row.frame_bytes - frame.frame.frame_bytes for row, frame in forms)


def _each(session: Session, reader: Reader, live: Live, make: Make, tended: Tended) -> Forms | None:
    """What `make` makes of every frame; None if one cannot be read."""
    found: Forms = []
    for entry, mine in live.of_each_entry():
        try:
            rows, known = reader.read(entry)
        except (*UNREADABLE, UnsupportedError):
            return None  # damaged since it was looked at: it keeps the old pack alive

        def work(i: int, rows: list[Row] = rows, known: dict[bytes, Member] = known) -> tuple[int, Packed | str]:
            return i, make(rows, i, known.get(rows[i].chunk_id, members.UNKNOWN))

        cost = {i: 8 * rows[i].logical_bytes for i in mine.row.tolist()}
        for i, frame in session.map(work, cost, cost.__getitem__):
            if isinstance(frame, str):
                tended.unmovable[row_name(rows[i])] = frame
                return None
            found.append((rows[i], frame))
    return found


def encoded_again(repo: Repository, rows: Sequence[Row], i: int, member: Member) -> Packed | str:
    """A smaller frame for the chunk of row i, decoded again and compared; its frame as it lies if none is smaller by
    LEAST_SHARE; or what is wrong with that."""
    decoder = Decoder(repo, rows)
    try:
        decoder.prefetch([i])
        for base in rows[i].bases:
            decoder.keep(base, decoder.chunk(base))
        data, old = decoder.chunk(i), decoder.frame(i)
        if blake3(data).digest() != old.chunk_id:
            return f"{row_name(rows[i])}: decoded bytes do not match their BLAKE3 id"
        bases = [memoryview(decoder.chunk(base)) for base in rows[i].bases]
        stored = Stored(old.codec, old.params, memoryview(old.payload), bases, [base.role for base in old.bases])
        new = encode(memoryview(data), member.dtype, stored, member.hints)
        frame = old if new is None else _frame(old, new)
        if new is None or frame.frame_bytes > (1 - LEAST_SHARE) * old.frame_bytes:
            return _own(old)
        back = scratch.buffer("decoded", len(data))
        decode_into(new.codec, new.params, memoryview(new.payload), [bases[at] for at in new.used], back.data)
    except (CkError, OSError) as error:
        return str(error)
    if not kernels.equal(back, scratch.as_bytes(data)):
        return f"{row_name(rows[i])}: its chunk does not decode to what was encoded again"
    return packed(frame)


def _frame(old: Frame, new: Encoded) -> Frame:
    used = tuple(old.bases[at] for at in new.used)
    return Frame(new.codec, old.chunk_id, old.logical_bytes, used, new.params, new.payload)


def _own(frame: Frame) -> Packed:
    """In memory of its own: what it was read from may hold its bases, too."""
    return packed(replace(frame, payload=bytes(frame.payload)))
