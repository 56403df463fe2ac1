"""A state in order: every container, composite and leaf with its path and its row."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ckstore.adapters import containers, opaque
from ckstore.adapters.memory import Memory
from ckstore.adapters.numpy import leaves as numpy_leaves
from ckstore.adapters.refusal import RefusedError, refuse
from ckstore.adapters.rows import SavedRow
from ckstore.format.manifest import MAX_DIMENSIONS, MAX_PATH_KEYS
from ckstore.format.records import NodeRow
from ckstore.tensor import Path

_ATOMS = frozenset((type(None), bool, int, float, str, bytes, complex))
_MAX_ROWS = 1 << 23
"""A few lists that hold each other several times over would otherwise walk for ever."""

Unknown: TypeAlias = Callable[[Path, Any, str], SavedRow | None]
"""What to do about a value that cannot be saved, and why it cannot: raise, or give another row."""
Children: TypeAlias = Iterable[tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Item:
    """One place in a state. row: None where `unknown` gave none. memory: of tensors only."""

    path: Path
    value: Any
    row: SavedRow | None
    memory: Memory | None = None


def walk(state: Any, unknown: Unknown) -> Iterator[Item]:
    """All items of `state`, every container before what it holds."""
    pending: list[Iterator[tuple[Path, Any]]] = [iter([((), state)])]
    around = [0]  # ids of the containers that are open, by position in pending
    left = _MAX_ROWS
    while pending:
        step = next(pending[-1], None)
        if step is None:
            pending.pop()
            around.pop()
            continue
        path, value = step
        left -= 1
        _check_place(path, value, around, left)
        item, children = _look(path, value, unknown)
        yield item
        if children is not None:
            pending.append(_below(path, children))
            around.append(id(value))


def _below(path: Path, children: Children) -> Iterator[tuple[Path, Any]]:
    return (((*path, key), child) for key, child in children)  # bound here: the walk's own path moves on


def _check_place(path: Path, value: Any, around: list[int], left: int) -> None:
    if id(value) in around and type(value) not in _ATOMS:
        raise refuse(path, value, "the state contains itself")
    if len(path) > MAX_PATH_KEYS:
        raise refuse(path[:4], value, f"the state is nested deeper than {MAX_PATH_KEYS} levels there")
    if left < 0:
        raise refuse(path, value, f"the state has more than {_MAX_ROWS} rows; hold numbers in arrays")


def _look(path: Path, value: Any, unknown: Unknown) -> tuple[Item, Children | None]:
    try:
        return _describe(path, value)
    except RefusedError as error:
        return Item(path, value, unknown(path, value, error.reason)), None


def _describe(path: Path, value: Any) -> tuple[Item, Children | None]:
    """The item of `value` and its children, if it is a node; RefusedError if it cannot be saved."""
    if type(value) in _ATOMS:
        return Item(path, value, opaque.plain_row(path, value)), None
    if isinstance(value, np.ndarray):
        return _tensor(path, value, numpy_leaves)
    if (torch := sys.modules.get("torch")) and isinstance(value, getattr(torch, "Tensor", ())):
        from ckstore.adapters.torch import leaves as torch_leaves

        return _tensor(path, value, torch_leaves)
    node = containers.take_apart(value) if type(value) not in (list, tuple) else None
    try:
        if node is None:
            return Item(path, value, opaque.plain_row(path, value)), None
    except RefusedError:
        if (node := containers.take_apart(value)) is None:
            raise
    return _node(path, value, node)


def _tensor(path: Path, value: Any, side: Any) -> tuple[Item, Children | None]:
    node = side.composite(value)
    if node is None:
        if value.ndim > MAX_DIMENSIONS:
            raise RefusedError(f"it has {value.ndim} dimensions; at most {MAX_DIMENSIONS} can be saved: reshape it")
        view, memory = side.leaf(path, value)
        return Item(path, value, view, memory), None
    kind, attrs, parts = node
    return _node(path, value, (kind, attrs, parts.items()))


def _node(path: Path, value: Any, node: containers.Node) -> tuple[Item, Children]:
    kind, attrs, children = node
    return Item(path, value, NodeRow(path, kind, attrs)), children
