"""Closure rows → logical bytes: read frames, resolve bases, decode. For restore, verify, and the bases of a save."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence

from ckstore.codec.chunk import decode_into
from ckstore.errors import CkError, FormatError, IntegrityError
from ckstore.format.closure import Row
from ckstore.format.frame import Frame, parse
from ckstore.store.repository import Repository

Logical = bytes | bytearray | memoryview
"""The bytes of a chunk."""
MAX_HELD = 16
"""Most chunks of a closure that one row may need at a time: more than any writer's, and a bound for a hostile one."""
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


def needed_rows(rows: Sequence[Row], targets: Iterable[int], known: Container[int] = ()) -> set[int]:
    """`targets` and every row they depend on, but for those that are known and what these depend on."""
    needed: set[int] = set()
    todo = list(targets)
    while todo:
        i = todo.pop()
        if i not in needed and i not in known:
            needed.add(i)
            todo.extend(rows[i].bases)
    return needed


class Decoder:
    """Decodes rows of one closure. Not shared between threads."""

    def __init__(
        self, repo: Repository, rows: Sequence[Row], known: Callable[[bytes], Logical | None] | None = None
    ) -> None:
        self._repo, self._rows, self._known = repo, rows, known
        self._stored: dict[tuple[str, int], memoryview] = {}
        self._kept: dict[int, Logical] = {}
        self._spares: list[bytearray] = []

    def prefetch(self, targets: Sequence[int]) -> None:
        """Read the frames of `targets` and their bases now, in as few reads as can be."""
        rows = [self._rows[i] for i in needed_rows(self._rows, targets)]
        self._stored = read_frames(self._repo, rows)
        self._kept.clear()

    def keep(self, i: int, data: Logical) -> None:
        """Remember the logical bytes of a row that others of this batch are based on."""
        self._kept[i] = data

    def frame(self, i: int) -> Frame:
        """The frame of row i as it is stored: after prefetch(), the very bytes that chunk() decodes."""
        return self._frame(self._rows[i])

    def chunk(self, i: int) -> Logical:
        """Logical bytes of row i: remembered, known to the caller, or decoded. Not verified against the id."""
        remembered = self._remembered(i)
        if remembered is not None:
            return remembered
        out = bytearray(self._rows[i].logical_bytes)
        self.into(i, memoryview(out))
        return out

    def _remembered(self, i: int) -> Logical | None:
        kept = self._kept.get(i)
        return kept if kept is not None or self._known is None else self._known(self._rows[i].chunk_id)

    def into(self, i: int, out: memoryview) -> None:
        """Decode row i into `out`, which has its logical size. Raises CorruptError naming the frame."""
        held: dict[int, Logical] = {}
        order = self._order(i, held)
        wanted = Counter(base for link in order for base in self._rows[link].bases)
        mine: dict[int, bytearray] = {}
        for link in order:
            bases = self._rows[link].bases
            target = out if link == i else self._buffer(mine, link)
            self._decode(link, [memoryview(held[base]) for base in bases], target)
            held[link] = target
            wanted.subtract(bases)
            for base in set(bases):
                if not wanted[base] and base in mine:
                    del held[base]
                    self._spares.append(mine.pop(base))
            if len(mine) > MAX_HELD:
                what = row_name(self._rows[i])
                raise FormatError(f"{what}: needs more than {MAX_HELD} chunks at once to be decoded", object=what)

    def _order(self, i: int, held: dict[int, Logical]) -> list[int]:
        """What must be decoded for row i, each row once, bases first; puts into `held` what is remembered of it.

        One base after the other with all that it needs: so a chain takes the memory of two chunks, however long it is.
        """
        order: list[int] = []
        seen: set[int] = set()
        todo = [(i, False)]
        while todo:
            row, is_ready = todo.pop()
            if is_ready:
                order.append(row)
            elif row not in seen:
                seen.add(row)
                remembered = None if row == i else self._remembered(row)
                if remembered is not None:
                    held[row] = remembered
                    continue
                todo.append((row, True))
                todo.extend((base, False) for base in reversed(self._rows[row].bases))
        return order

    def _buffer(self, mine: dict[int, bytearray], i: int) -> memoryview:
        """Memory for row i, noted as this call's own."""
        n_bytes = self._rows[i].logical_bytes
        spare = next((spare for spare in self._spares if len(spare) >= n_bytes), None)
        if spare is not None:
            self._spares.remove(spare)
        mine[i] = bytearray(n_bytes) if spare is None else spare
        return memoryview(mine[i])[:n_bytes]

    def _decode(self, i: int, bases: Sequence[memoryview], out: memoryview) -> None:
        row = self._rows[i]
        what = row_name(row)
        frame = self._frame(row)
        if frame.chunk_id != row.chunk_id or frame.logical_bytes != len(out):
            raise IntegrityError(f"{what}: holds another chunk than the closure says", object=what)
        if [base.chunk_id for base in frame.bases] != [self._rows[base].chunk_id for base in row.bases]:
            raise IntegrityError(f"{what}: has other bases than the closure says", object=what)
        try:
            decode_into(frame.codec, frame.params, memoryview(frame.payload), bases, out)
        except CkError as error:
            raise type(error)(f"{what}: {error}", **{**error.details, "object": what}) from error

    def _frame(self, row: Row) -> Frame:
        stored = self._stored.get((row.pack.name, row.offset))
        if stored is None:
            return self._repo.packs.frame(row.pack.name, row.offset, row.frame_bytes)
        return parse(stored, row_name(row))
