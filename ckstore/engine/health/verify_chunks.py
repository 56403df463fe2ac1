"""The part of verify() that decodes chunks: every frame once, however many checkpoints need it."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from blake3 import blake3
from xxhash import xxh3_64_intdigest

from ckstore.engine.decode import Decoder, row_name
from ckstore.engine.health import touched
from ckstore.engine.health.found import Survey
from ckstore.engine.session import Session
from ckstore.errors import CkError, MissingObjectError, UnsupportedError
from ckstore.format.closure import Row
from ckstore.format.records import Entry

Done = dict[str, npt.NDArray[np.uint64]]
"""By pack, what was said of the frames that were decoded: hashes of `_claim`."""
_NONE = np.empty(0, np.uint64)


def decode_all(session: Session, entries: Iterable[Entry], seen: Survey) -> None:
    """Decode every chunk of these checkpoints and compare it with its BLAKE3 id."""
    done: Done = {}
    for entry in entries:
        _decode(session, seen.rows(session.repo, entry), seen, done)


def _fresh(rows: list[Row], done: Done) -> list[int]:
    """The rows of which nobody has decoded all that they say; they are noted in `done`.

    A frame that two closures describe in different ways is decoded for each: one of them lies.
    """
    in_pack: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        in_pack.setdefault(row.pack.name, []).append(i)
    fresh: list[int] = []
    for name, numbers in in_pack.items():
        claims = np.array([_claim(rows, i) for i in numbers], np.uint64)
        before = done.get(name, _NONE)
        fresh.extend(np.array(numbers)[~np.isin(claims, before)].tolist())
        done[name] = np.union1d(before, claims)
    return sorted(fresh)


def _claim(rows: list[Row], i: int) -> int:
    """What a row says of its frame, in 64 bits: where it lies, what it holds, and what it is decoded from."""
    row = rows[i]
    numbers = struct.pack("<QII", row.offset, row.frame_bytes, row.logical_bytes)
    return xxh3_64_intdigest(b"".join([numbers, row.chunk_id, *(rows[base].chunk_id for base in row.bases)]))


def _decode(session: Session, rows: list[Row], seen: Survey, done: Done) -> None:
    """Decode the rows whose frames nobody has decoded yet. What lacks a damaged base is no damage of its own."""
    fresh = _fresh(rows, done)
    known = touched.taints(rows, seen.blame)
    spoilt: set[int] = {i for i, names in enumerate(known) if names}

    def work(i: int) -> tuple[int, str, str | None]:
        """(i, damaged object, problem): a frame, or the pack that has just gone from under it."""
        try:
            data = Decoder(session.repo, rows).chunk(i)
        except UnsupportedError:
            raise
        except MissingObjectError as error:
            return i, str(error.details.get("object", row_name(rows[i]))), str(error)
        except (CkError, OSError) as error:
            return i, row_name(rows[i]), str(error)
        wrong = None if blake3(data).digest() == rows[i].chunk_id else "decoded bytes do not match their BLAKE3 id"
        return i, row_name(rows[i]), wrong

    todo = [i for i in fresh if i not in spoilt]
    for i, what, problem in session.map(work, todo, lambda i: 6 * rows[i].logical_bytes):
        seen.found.n_objects += 1
        seen.found.n_bytes += rows[i].logical_bytes
        if problem is not None:
            spoilt.add(i)
            if not spoilt.intersection(rows[i].bases):
                seen.found.add(what, problem)
                seen.spoilt[rows[i].pack.name, rows[i].offset] = problem
                seen.damaged_packs.add(rows[i].pack.name)
