"""What is left of a checkpoint without some of its leaves: rows of its manifest, and the closure rows these need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ckstore.engine import selection
from ckstore.engine.decode import needed_rows
from ckstore.engine.parent import load_closure, load_manifest
from ckstore.engine.reach import Object
from ckstore.errors import CorruptError
from ckstore.format import manifest
from ckstore.format.closure import Row
from ckstore.format.manifest import ChunkColumns, Table
from ckstore.format.names import CLOSURE, MANIFEST, PACK
from ckstore.format.records import Entry, TensorRow
from ckstore.store.repository import Repository


@dataclass(frozen=True, slots=True)
class Rest:
    """The manifest and the closure that a checkpoint would have."""

    table: Table
    rows: list[Row]

    @property
    def tensors(self) -> list[TensorRow]:
        """Its tensors."""
        return [row for row, _ in self.table if isinstance(row, TensorRow)]

    @property
    def logical_bytes(self) -> int:
        """Of all its tensors."""
        return sum(map(manifest.tensor_bytes, self.tensors))


def of_entry(repo: Repository, entry: Entry, patterns: Sequence[str]) -> Rest:
    """`entry` without the leaves that match.

    Raises NotFoundError if there is nothing to drop, UsageError if nothing would be left, CorruptError, StorageError.
    """
    whole, _ = load_manifest(repo, entry, repo.root().chunk_elements)
    rows, _ = load_closure(repo, entry)
    columns = {row.path: mine for row, mine in whole if isinstance(row, TensorRow)}
    left = selection.without([row for row, _ in whole], patterns)
    table = [(row, columns[row.path] if isinstance(row, TensorRow) else ChunkColumns()) for row in left]
    row_of = {row.chunk_id: i for i, row in enumerate(rows)}
    targets = [row_of.get(mine.chunk_id(i)) for _, mine in table for i in range(mine.n_chunks)]
    if None in targets:  # what a repair could not find may go, and nothing else may stay without its chunks
        what = f"closure {entry.closure.name}"
        raise CorruptError(f"{what} lacks a chunk of what would be left: `ckstore verify` says of what", object=what)
    return Rest(table, taken(rows, needed_rows(rows, [target for target in targets if target is not None])))


def taken(rows: Sequence[Row], wanted: Iterable[int]) -> list[Row]:
    """Some rows of a closure as a closure of their own. REQUIRES: their bases are among them."""
    number = {old: new for new, old in enumerate(sorted(wanted))}
    return [replace(rows[i], bases=tuple(number[base] for base in rows[i].bases)) for i in number]


def needs(entry: Entry, rest: Rest) -> set[Object]:
    """The objects that `entry` would need; its old manifest and closure stand for the new ones."""
    own = {(MANIFEST, entry.manifest.name), (CLOSURE, entry.closure.name)}
    return own | {(PACK, row.pack.name) for row in rest.rows}
