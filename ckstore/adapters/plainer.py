"""The rows of a state as somebody wants them who has none of its classes, and only asks for arrays."""

from __future__ import annotations

from collections.abc import Sequence

from ckstore.adapters import opaque, plain
from ckstore.adapters.rows import LoadedRow
from ckstore.format.records import NodeRow, TensorRow, ValueRow

_NONE = plain.pack(None)


def arrays_only(rows: Sequence[LoadedRow]) -> list[LoadedRow]:
    """`rows` with tuples for namedtuples and None for plain values and pickles: no class has to be imported for them.

    The parts of NumPy composites stay, since those are arrays.
    """
    composites = {row.path for row in rows if isinstance(row, NodeRow) and row.kind.startswith("numpy.")}
    return [row if row.path[:-1] in composites else _plainer(row) for row in rows]


def _plainer(row: LoadedRow) -> LoadedRow:
    if isinstance(row, NodeRow) and row.kind == "namedtuple":
        return NodeRow(row.path, "tuple", {"n": row.attrs.get("n")})
    if isinstance(row, ValueRow) or (isinstance(row, TensorRow) and row.kind in opaque.KINDS):
        return ValueRow(row.path, _NONE)
    return row
