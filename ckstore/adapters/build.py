"""Rows and finished leaves -> the state, or the state it is loaded into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ckstore.adapters import composites, containers, opaque
from ckstore.adapters.refusal import where
from ckstore.adapters.rows import LoadedRow
from ckstore.errors import FormatError
from ckstore.format.manifest import SEQUENCES
from ckstore.format.records import NodeRow, TensorRow, ValueRow
from ckstore.tensor import Path

Children = list[tuple[Any, Any]]
_MISSING: Any = object()


def build(
    rows: Sequence[LoadedRow],
    leaves: Mapping[Path, Any],
    *,
    framework: str | None = None,
    allow_pickle: bool = False,
    partial: bool = False,
    live: Mapping[Path, Any] | None = None,
) -> Any:
    """The state that `rows` describe. leaves: finished tensors. partial: rows went through select().

    live: containers to put the leaves into, instead of new ones.
    """
    finished = _with_twins(rows, leaves)
    open_nodes: dict[Path, Children] = {}
    for row in reversed(rows):  # children come after their container, so from the end they are ready before it
        path = row.path
        children = open_nodes.pop(path, [])
        if live is not None and path in live:
            value = containers.refill(live[path], children)
        elif isinstance(row, NodeRow):
            value = _node(row, path, children[::-1], framework, partial)
        elif children:
            raise FormatError(f"row {path!r} is a leaf with rows below it")
        elif isinstance(row, ValueRow):
            value = opaque.plain_value(row.data, path, framework)
        else:
            value = leaf_of(row, path, finished, allow_pickle)
        if not path:
            return _whole(value, open_nodes, row is rows[0])
        open_nodes.setdefault(path[:-1], []).append((path[-1], value))
    return _whole(None, open_nodes, partial)


def leaf_of(row: TensorRow, path: Path, finished: Mapping[Path, Any], allow_pickle: bool) -> Any:
    """The finished leaf of a row."""
    value = finished.get(path, _MISSING)
    if value is _MISSING:
        raise FormatError(f"no leaf for row {path!r}")
    if isinstance(value, opaque.Pickled):
        if not allow_pickle:
            raise opaque.refuse_pickle(path, row)
        return value.open(path)
    return value


def _node(row: NodeRow, path: Path, children: Children, framework: str | None, partial: bool) -> Any:
    if row.kind in containers.MAPPINGS or row.kind in SEQUENCES:
        try:
            return containers.put_together(row.kind, row.attrs, children, partial)
        except FormatError as error:
            raise FormatError(f"{where(path)}: {error.message}") from error
    parts = dict(children)
    if len(parts) != len(children):
        raise FormatError(f"{where(path)}: two rows have one path")
    return composites.assemble(row, path, parts, framework)


def _with_twins(rows: Sequence[LoadedRow], leaves: Mapping[Path, Any]) -> dict[Path, Any]:
    """`leaves`, and for every row that is the same object as an earlier one that object."""
    finished = dict(leaves)
    first: dict[int, Any] = {}
    for row in rows:
        if isinstance(row, TensorRow) and type(number := row.attrs.get("same")) is int:
            path = row.path
            if path in finished:
                first.setdefault(number, finished[path])
            elif number in first:
                finished[path] = first[number]
    return finished


def _whole(value: Any, open_nodes: dict[Path, Children], at_start: bool) -> Any:
    if open_nodes or not at_start:
        raise FormatError("the rows of the state are not one tree in order")
    return value
