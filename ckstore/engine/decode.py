"""Closure rows → logical bytes: read frames, resolve bases, decode. For restore, verify, and the bases of a save."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence

from ckstore.codec.chunk import decode_into
from ckstore.errors import CkError, IntegrityError
from ckstore.format.closure import Row
from ckstore.format.frame import Frame, parse
from ckstore.store.repository import Repository

Logical = bytes | bytearray | memoryview
"""The bytes of a chunk."""
MAX_HELD = 16
"""Chunks that are held for a second use while a row is decoded; a row that needs more is decoded in another way."""
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
        self.fill({i: out})

    def fill(self, targets: Mapping[int, memoryview]) -> None:
        """Decode these rows, each into memory of its logical size. What several of them need is decoded once.

        Raises CorruptError naming the frame.
        """
        held: dict[int, Logical] = {}
        order = self._order(targets, held)
        if self._most_held(order, targets) > MAX_HELD:
            for i in sorted(targets):
                self._one_by_one(i, held, {}, targets[i])
                held[i] = targets[i]
            return
        wanted = Counter(base for link in order for base in self._rows[link].bases)
        mine: dict[int, bytearray] = {}
        for link in order:
            bases = self._rows[link].bases
            if link not in targets:
                mine[link] = self._buffer(self._rows[link].logical_bytes)
            target = targets[link] if link in targets else memoryview(mine[link])[: self._rows[link].logical_bytes]
            self._decode(link, [memoryview(held[base]) for base in bases], target)
            held[link] = target
            wanted.subtract(bases)
            for base in set(bases):
                if not wanted[base] and base in mine:
                    del held[base]
                    self._spares.append(mine.pop(base))

    def _most_held(self, order: Sequence[int], targets: Container[int]) -> int:
        """How many chunks of its own fill() holds at most when it decodes in this order."""
        wanted = Counter(base for link in order for base in self._rows[link].bases)
        mine, n_held, most = {link for link in order if link not in targets}, 0, 0
        for link in order:
            n_held, bases = n_held + (link in mine), self._rows[link].bases
            most = max(most, n_held)
            wanted.subtract(bases)
            n_held -= sum(not wanted[base] and base in mine for base in set(bases))
        return most

    def _one_by_one(
        self, i: int, known: Mapping[int, Logical], needs: dict[int, int], out: memoryview | None = None
    ) -> bytearray:
        """Decode row i into `out` or new memory, each base anew for every use of it: as often as the row's work says
        (FORMAT.md), in the memory of as many chunks as _need() says.

        The base that needs most comes first, as Sethi and Ullman (1970) order registers: some twenty will do for any
        row that a closure may have.
        """
        row = self._rows[i]
        held: dict[int, Logical] = {base: known[base] for base in row.bases if base in known}
        mine: list[bytearray] = []
        for base in sorted(set(row.bases).difference(held), key=lambda base: -self._need(base, known, needs)):
            mine.append(self._one_by_one(base, known, needs))
            held[base] = memoryview(mine[-1])[: self._rows[base].logical_bytes]
        made = bytearray() if out is not None else self._buffer(row.logical_bytes)
        target = memoryview(made)[: row.logical_bytes] if out is None else out
        self._decode(i, [memoryview(held[base]) for base in row.bases], target)
        self._spares.extend(mine)
        return made

    def _need(self, i: int, known: Mapping[int, Logical], needs: dict[int, int]) -> int:
        """Chunks to be held while row i is decoded one by one, itself included."""
        if i not in needs:
            bases = set(self._rows[i].bases).difference(known)
            below = sorted((self._need(base, known, needs) for base in bases), reverse=True)
            needs[i] = max([len(below) + 1, *(need + place for place, need in enumerate(below))])
        return needs[i]

    def _order(self, targets: Collection[int], held: dict[int, Logical]) -> list[int]:
        """What must be decoded for these rows, each row once, bases first; puts into `held` what is remembered of it.

        One base after the other with all that it needs: so a chain takes the memory of two chunks, however long it is.
        """
        order: list[int] = []
        seen: set[int] = set()
        todo = [(i, False) for i in sorted(targets)]  # the last one first: it may need the others
        while todo:
            row, is_ready = todo.pop()
            if is_ready:
                order.append(row)
            elif row not in seen:
                seen.add(row)
                remembered = None if row in targets else self._remembered(row)
                if remembered is not None:
                    held[row] = remembered
                    continue
                todo.append((row, True))
                todo.extend((base, False) for base in reversed(self._rows[row].bases))
        return order

    def _buffer(self, n_bytes: int) -> bytearray:
        """Memory for a chunk, at least so much of it."""
        spare = next((spare for spare in self._spares if len(spare) >= n_bytes), None)
        if spare is None:
            return bytearray(n_bytes)
        self._spares.remove(spare)
        return spare

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
