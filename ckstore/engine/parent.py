"""The checkpoint that a save starts from: what its tensors were, where their chunks lie, what their chains cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ckstore.errors import CorruptError
from ckstore.format import closure, manifest
from ckstore.format.closure import Row
from ckstore.format.manifest import ChunkColumns, Table
from ckstore.format.names import CLOSURE, MANIFEST
from ckstore.format.records import ClosurePage, Entry, ManifestPage, ObjectRef, PageRef, TensorRow
from ckstore.store.objects import held_by
from ckstore.store.repository import Repository
from ckstore.tensor import Path

COST_SLOPE = 2
"""A frame of half its logical bytes counts as dense. `python -m bench storage`: with 8 here, a chain of quarter-size
deltas is cut as early as one of dense deltas (low_bytes 0.367 of logical instead of 0.309, embedding 0.072 instead of
0.070)."""


class Chain(NamedTuple):
    """What it takes to decode a chunk: the longest way down, by cost and by frames.

    Beside it lie the moments that weights are predicted from. Who loads a whole state needs these anyway, so that it
    decodes about as many frames for each chunk as the longest way has.
    """

    cost: float
    """1 is about decoding one full frame."""
    frames: int
    work: int
    """As a closure's reader counts it: all frames, each as often as another is based on it."""


def on_top(cost: float, bases: Sequence[Chain]) -> Chain:
    """The chain of a chunk whose own frame has this cost and these bases."""
    longest = max((base.cost for base in bases), default=0.0)
    frames = max((base.frames for base in bases), default=0)
    return Chain(cost + longest, 1 + frames, 1 + sum(base.work for base in bases))


class Known(NamedTuple):
    """A chunk of the parent at the same path and position as one being saved."""

    row: int
    chunk_id: bytes
    quick_hash: bytes
    dtype: str
    n_bytes: int


def frame_cost(frame_bytes: int, logical_bytes: int) -> float:
    """Cost of one frame in a chain, where a dense one costs 1: small frames cost less to read and to decode."""
    return min(1.0, COST_SLOPE * frame_bytes / max(1, logical_bytes))


@dataclass(frozen=True)
class Parent:
    """A checkpoint as the base of the next. An absent parent has no rows."""

    id: bytes = b""
    manifest_ref: ObjectRef | None = None
    closure_ref: ObjectRef | None = None
    table: Table = ()  # type: ignore[assignment]  # an empty table, without a mutable default
    rows: Sequence[Row] = ()
    manifest_pages: Sequence[PageRef] = ()
    closure_pages: Sequence[PageRef] = ()

    @cached_property
    def row_of(self) -> dict[bytes, int]:
        """Row number by chunk id."""
        return {row.chunk_id: i for i, row in enumerate(self.rows)}

    @cached_property
    def _chains(self) -> dict[int, Chain]:
        return {}

    def chain(self, row: int) -> Chain:
        """The chain of a row."""
        found = self._chains.get(row)
        if found is None:
            where = self.rows[row]
            bases = [self.chain(base) for base in where.bases]
            found = on_top(frame_cost(where.frame_bytes, where.logical_bytes), bases)
            self._chains[row] = found
        return found

    @cached_property
    def _tensors(self) -> dict[Path, tuple[TensorRow, ChunkColumns]]:
        return {row.path: (row, columns) for row, columns in self.table if isinstance(row, TensorRow)}

    def tensor(self, path: Path) -> tuple[TensorRow, ChunkColumns] | None:
        """The tensor at this path, if there is one."""
        return self._tensors.get(path)

    def chunk(self, path: Path, index: int) -> Known | None:
        """The chunk at this path and position, if there is one."""
        row, columns = self.tensor(path) or (None, ChunkColumns())
        if row is None or index >= columns.n_chunks:
            return None
        chunk_id = columns.chunk_id(index)
        number = self.row_of[chunk_id]
        return Known(number, chunk_id, columns.quick_hash(index), row.dtype, self.rows[number].logical_bytes)

    @property
    def shared_manifest_pages(self) -> dict[bytes, PageRef]:
        """Pages that a child may refer to, by digest."""
        return held_by(self.manifest_ref.name, self.manifest_pages) if self.manifest_ref else {}

    @property
    def shared_closure_pages(self) -> dict[bytes, PageRef]:
        """Pages that a child may refer to, by digest."""
        return held_by(self.closure_ref.name, self.closure_pages) if self.closure_ref else {}


def load_manifest(repo: Repository, entry: Entry, chunk_elements: int) -> tuple[Table, list[PageRef]]:
    """(rows, page references) of a checkpoint's manifest."""
    name = entry.manifest.name
    head = repo.objects.manifest(entry.manifest)
    pages = repo.objects.pages(MANIFEST, name, head.pages, ManifestPage)
    return manifest.from_pages(pages, f"manifest {name}", chunk_elements), head.pages


def load_closure(repo: Repository, entry: Entry) -> tuple[list[Row], list[PageRef]]:
    """(rows, page references) of a checkpoint's closure."""
    name = entry.closure.name
    head = repo.objects.closure(entry.closure)
    pages = repo.objects.pages(CLOSURE, name, head.pages, ClosurePage)
    return closure.from_pages(pages, f"closure {name}"), head.pages


def load_parent(repo: Repository, entry: Entry) -> Parent:
    """`entry` as a parent. Raises CorruptError if its manifest and closure do not fit together."""
    table, manifest_pages = load_manifest(repo, entry, repo.root().chunk_elements)
    rows, closure_pages = load_closure(repo, entry)
    parent = Parent(entry.id, entry.manifest, entry.closure, table, rows, manifest_pages, closure_pages)
    for _, columns in table:
        if any(columns.chunk_id(i) not in parent.row_of for i in range(columns.n_chunks)):
            raise CorruptError(f"closure {entry.closure.name} lacks a chunk of manifest {entry.manifest.name}")
    return parent
