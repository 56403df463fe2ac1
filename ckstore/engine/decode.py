"""Closure rows → logical bytes: read frames, resolve bases, decode. For restore, verify, and the bases of a save."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ckstore.codec.chunk import decode_into
from ckstore.errors import CkError, IntegrityError
from ckstore.format.closure import Row
from ckstore.format.frame import Frame, parse
from ckstore.store.repository import Repository

GAP_BYTES = 64 << 10
"""Frames at most this far apart in a pack are read in one go."""


def row_name(row: Row) -> str:
    """How errors name the frame of a row."""
    return f"pack {row.pack.name}, frame at {row.offset}"


def read_frames(repo: Repository, rows: Sequence[Row]) -> dict[tuple[str, int], memoryview]:
    """The stored bytes of several frames by (pack, offset): neighbours are read together."""
    found: dict[tuple[str, int], memoryview] = {}
    ordered = sorted({(row.pack.name, row.offset, row.frame_bytes) for row in rows})
    while ordered:
        pack, start, size = ordered[0]
        end, n = start + size, 1
        while n < len(ordered) and ordered[n][0] == pack and ordered[n][1] <= end + GAP_BYTES:
            end, n = max(end, ordered[n][1] + ordered[n][2]), n + 1
        data = repo.packs.read(pack, start, end - start)
        for _, offset, frame_bytes in ordered[:n]:
            found[pack, offset] = data[offset - start : offset - start + frame_bytes]
        ordered = ordered[n:]
    return found


def needed_rows(rows: Sequence[Row], targets: Sequence[int]) -> set[int]:
    """`targets` and every row they depend on."""
    needed: set[int] = set()
    todo = list(targets)
    while todo:
        i = todo.pop()
        if i not in needed:
            needed.add(i)
            todo.extend(rows[i].bases)
    return needed


class Decoder:
    """Decodes rows of one closure. Not shared between threads."""

    def __init__(
        self, repo: Repository, rows: Sequence[Row], known: Callable[[bytes], bytes | bytearray | memoryview | None] | None = None
    ) -> None:
        self._repo, self._rows, self._known = repo, rows, known
        self._stored: dict[tuple[str, int], memoryview] = {}
        self._kept: dict[int, bytes | bytearray | memoryview] = {}

    def prefetch(self, targets: Sequence[int]) -> None:
        """Read the frames of `targets` and their bases now, in as few reads as can be."""
        rows = [self._rows[i] for i in needed_rows(self._rows, targets)]
        self._stored = read_frames(self._repo, rows)
        self._kept.clear()

    def keep(self, i: int, data: bytes | bytearray | memoryview) -> None:
        """Remember the logical bytes of a row that others of this batch are based on."""
        self._kept[i] = data

    def chunk(self, i: int) -> bytes | bytearray | memoryview:
        """Logical bytes of row i: remembered, known to the caller, or decoded. Not verified against the id."""
        row = self._rows[i]
        known = self._kept.get(i) or (self._known(row.chunk_id) if self._known else None)
        if known is not None:
            return known
        out = bytearray(row.logical_bytes)
        self.into(i, memoryview(out))
        return out

    def into(self, i: int, out: memoryview) -> None:
        """Decode row i into `out`, which has its logical size. Raises CorruptError naming the frame."""
        row = self._rows[i]
        what = row_name(row)
        frame = self._frame(row)
        if frame.chunk_id != row.chunk_id or frame.logical_bytes != len(out):
            raise IntegrityError(f"{what}: holds another chunk than the closure says", object=what)
        if [base.chunk_id for base in frame.bases] != [self._rows[base].chunk_id for base in row.bases]:
            raise IntegrityError(f"{what}: has other bases than the closure says", object=what)
        bases = [memoryview(self.chunk(base)) for base in row.bases]
        try:
            decode_into(frame.codec, frame.params, memoryview(frame.payload), bases, out)
        except CkError as error:
            raise type(error)(f"{what}: {error}", **{**error.details, "object": what}) from error

    def _frame(self, row: Row) -> Frame:
        stored = self._stored.get((row.pack.name, row.offset))
        if stored is None:
            return self._repo.packs.frame(row.pack.name, row.offset, row.frame_bytes)
        return parse(stored, row_name(row))
