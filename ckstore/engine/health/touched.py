"""Which tensors a damage touches: what cannot be decoded without a damaged frame, however long the chain of deltas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ckstore.format.closure import Row
from ckstore.format.manifest import Table
from ckstore.format.records import TensorRow
from ckstore.tensor import dotted

Names = frozenset[str]
"""Names of damaged objects."""
_NONE: Names = frozenset()


def taints(rows: Sequence[Row], blame: Callable[[Row], str | None]) -> list[Names]:
    """For each row, the damaged objects for which it cannot be decoded: its own, and those of its bases.

    blame: the damaged object in which the frame of a row lies, if it cannot be read.
    """
    found: list[Names] = []
    for row in rows:
        names = _NONE.union(*(found[base] for base in row.bases)) if row.bases else _NONE
        own = blame(row)
        found.append(names if own is None else names | {own})
    return found


def by_chunk(rows: Sequence[Row], names: Sequence[Names]) -> dict[bytes, Names]:
    """The chunks among `rows` that cannot be decoded, each with the damaged objects it lacks."""
    return {row.chunk_id: mine for row, mine in zip(rows, names, strict=True) if mine}


def tensors(table: Table, lost: Callable[[bytes], Iterable[str]]) -> dict[str, list[str]]:
    """Dotted paths of the tensors of a manifest by the damaged objects for which they cannot be read.

    lost: for a chunk id, the damaged objects it lacks.
    """
    found: dict[str, dict[str, None]] = {}
    for row, columns in table:
        if isinstance(row, TensorRow):
            for name in {name for i in range(columns.n_chunks) for name in lost(columns.chunk_id(i))}:
                found.setdefault(name, {})[dotted(row.path)] = None
    return {name: list(paths) for name, paths in found.items()}


def chunked(table: Table) -> list[str]:
    """Dotted paths of the tensors that have chunks: all others live in the manifest itself."""
    return [dotted(row.path) for row, columns in table if isinstance(row, TensorRow) and columns.n_chunks]
