"""Closure rows ⇄ pages: where each chunk of a checkpoint lies, and on which earlier rows it depends.

INVARIANT: the bases of a row are rows before it, so there are no cycles and one pass in order can decode everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


def _from_page(page: ClosurePage, what: str) -> Iterable[Row]:
    n, rest = divmod(len(page.chunk_ids), 32)
    n_bases = columns.unpack(page.n_bases, "u1", n, what)
    pack_of = columns.unpack(page.pack_of, "<u2", n, what)
    offsets = columns.unpack(page.offsets, "<u8", n, what)
    frame_bytes = columns.unpack(page.frame_bytes, "<u4", n, what)
    logical_bytes = columns.unpack(page.logical_bytes, "<u4", n, what)
    bases = columns.unpack(page.bases, "<u4", sum(n_bases), what)
    if rest or max(n_bases, default=0) > MAX_BASES or max(pack_of, default=-1) >= len(page.packs):
        raise FormatError(f"{what}: columns do not fit together", object=what)
    if max(frame_bytes, default=0) > MAX_FRAME_BYTES or max(logical_bytes, default=0) > MAX_CHUNK_BYTES:
        raise FormatError(f"{what}: a frame or chunk is over the size limit", object=what)
    at = 0
    for i in range(n):
        mine = tuple(bases[at : at + n_bases[i]])
        at += n_bases[i]
        chunk_id, pack = page.chunk_ids[32 * i : 32 * i + 32], page.packs[pack_of[i]]
        if offsets[i] + frame_bytes[i] > pack.n_bytes:
            raise FormatError(f"{what}: a frame at {offsets[i]} lies beyond the end of pack {pack.name}", object=what)
        yield Row(chunk_id, pack, offsets[i], frame_bytes[i], logical_bytes[i], mine)


def pack_uses(rows: Iterable[Row]) -> list[PackUse]:
    """Every pack the rows need, with the bytes of the frames used."""
    used: dict[str, int] = {}
    for row in rows:
        used[row.pack.name] = used.get(row.pack.name, 0) + row.frame_bytes
    return [PackUse(name, n_bytes) for name, n_bytes in used.items()]
