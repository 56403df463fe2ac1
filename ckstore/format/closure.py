"""Closure rows ⇄ pages: where each chunk of a checkpoint lies, and on which earlier rows it depends.

INVARIANT: the bases of a row are rows before it, so there are no cycles and one pass in order can decode everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ckstore.errors import FormatError
from ckstore.format import columns
from ckstore.format.frame import MAX_BASES, MAX_CHUNK_BYTES, MAX_DEPTH, MAX_FRAME_BYTES
from ckstore.format.records import ClosurePage, ObjectRef, PackUse

ROWS_PER_PAGE = 256
MAX_WORK = 4096
"""Most frames that one row may need, each counted as often as it is needed."""
MAX_ROWS = 1 << 24


@dataclass(frozen=True, slots=True)
class Row:
    """One frame that a checkpoint needs."""

    chunk_id: bytes
    pack: ObjectRef
    offset: int
    frame_bytes: int
    logical_bytes: int
    bases: tuple[int, ...] = ()


def to_pages(rows: Sequence[Row]) -> list[ClosurePage]:
    """Pages of at most ROWS_PER_PAGE rows; equal rows at equal positions give equal pages, which a child shares.

    Raises FormatError for rows that from_pages would refuse: what nobody can read is never written.
    """
    _check_bases(rows, "new closure")
    return [_to_page(rows[i : i + ROWS_PER_PAGE]) for i in range(0, len(rows), ROWS_PER_PAGE)]


def _to_page(rows: Sequence[Row]) -> ClosurePage:
    packs = {row.pack.name: row.pack for row in rows}
    position = {name: i for i, name in enumerate(packs)}
    return ClosurePage(
        packs=list(packs.values()),
        chunk_ids=b"".join(row.chunk_id for row in rows),
        pack_of=columns.pack((position[row.pack.name] for row in rows), "<u2"),
        offsets=columns.pack((row.offset for row in rows), "<u8"),
        frame_bytes=columns.pack((row.frame_bytes for row in rows), "<u4"),
        logical_bytes=columns.pack((row.logical_bytes for row in rows), "<u4"),
        n_bases=columns.pack((len(row.bases) for row in rows), "u1"),
        bases=columns.pack((base for row in rows for base in row.bases), "<u4"),
    )


def from_pages(pages: Iterable[ClosurePage], what: str) -> list[Row]:
    """All rows of a closure, validated. Raises FormatError for anything that could loop, overflow or point nowhere."""
    rows: list[Row] = []
    for page in pages:
        rows.extend(_from_page(page, what))
        if len(rows) > MAX_ROWS:
            raise FormatError(f"{what}: more than {MAX_ROWS} rows", object=what)
    _check_bases(rows, what)
    return rows


def _check_bases(rows: Sequence[Row], what: str) -> None:
    depth: list[int] = []
    work: list[int] = []  # frames to decode, each as often as it is needed: what branches at every link doubles
    for i, row in enumerate(rows):
        if any(base >= i for base in row.bases):
            raise FormatError(f"{what}: row {i} depends on a row after it", object=what)
        depth.append(1 + max((depth[base] for base in row.bases), default=0))
        if depth[-1] > MAX_DEPTH:
            raise FormatError(f"{what}: row {i} needs a chain of more than {MAX_DEPTH} frames", object=what)
        work.append(1 + sum(work[base] for base in row.bases))
        if work[-1] > MAX_WORK:
            raise FormatError(f"{what}: row {i} needs more than {MAX_WORK} frames to be decoded", object=what)


class Columns(NamedTuple):
    """The rows of one page as arrays; `pack_of` counts in the page's own packs, `bases` in the whole closure."""

    ids: npt.NDArray[np.uint8]
    """(n, 32)"""
    pack_of: npt.NDArray[np.uint16]
    offsets: npt.NDArray[np.uint64]
    frame_bytes: npt.NDArray[np.uint32]
    logical_bytes: npt.NDArray[np.uint32]
    n_bases: npt.NDArray[np.uint8]
    bases: npt.NDArray[np.uint32]
    """One a base."""


def of_page(page: ClosurePage, what: str) -> Columns:
    """The rows of one page, validated, but for what their bases are. Raises FormatError."""
    n, rest = divmod(len(page.chunk_ids), 32)
    n_bases = columns.array(page.n_bases, "u1", n, what)
    rows = Columns(
        np.frombuffer(page.chunk_ids, np.uint8, 32 * n).reshape(-1, 32),
        columns.array(page.pack_of, "<u2", n, what),
        columns.array(page.offsets, "<u8", n, what),
        columns.array(page.frame_bytes, "<u4", n, what),
        columns.array(page.logical_bytes, "<u4", n, what),
        n_bases,
        columns.array(page.bases, "<u4", int(n_bases.sum()), what),
    )
    if rest or n_bases.max(initial=0) > MAX_BASES or rows.pack_of.max(initial=0) >= max(len(page.packs), n == 0):
        raise FormatError(f"{what}: columns do not fit together", object=what)
    if rows.frame_bytes.max(initial=0) > MAX_FRAME_BYTES or rows.logical_bytes.max(initial=0) > MAX_CHUNK_BYTES:
        raise FormatError(f"{what}: a frame or chunk is over the size limit", object=what)
    if n:
        ends = np.array([pack.n_bytes for pack in page.packs], np.uint64)[rows.pack_of]
        beyond = (rows.offsets > ends) | (ends - rows.offsets < rows.frame_bytes)
        if beyond.any():
            i = int(beyond.argmax())
            name = page.packs[int(rows.pack_of[i])].name
            problem = f"a frame at {rows.offsets[i]} lies beyond the end of pack {name}"
            raise FormatError(f"{what}: {problem}", object=what)
    return rows


def _from_page(page: ClosurePage, what: str) -> Iterable[Row]:
    rows = of_page(page, what)
    ids, n_bases, bases = rows.ids.tobytes(), rows.n_bases.tolist(), rows.bases.tolist()
    numbers = (column.tolist() for column in rows[1:5])
    at = 0
    for i, (pack, offset, frame_bytes, logical_bytes) in enumerate(zip(*numbers, strict=True)):
        mine = tuple(bases[at : at + n_bases[i]])
        at += n_bases[i]
        yield Row(ids[32 * i : 32 * i + 32], page.packs[pack], offset, frame_bytes, logical_bytes, mine)


def pack_uses(rows: Iterable[Row]) -> list[PackUse]:
    """Every pack the rows need, with the bytes of the frames used."""
    used: dict[str, int] = {}
    for row in rows:
        used[row.pack.name] = used.get(row.pack.name, 0) + row.frame_bytes
    return [PackUse(name, n_bytes) for name, n_bytes in used.items()]
