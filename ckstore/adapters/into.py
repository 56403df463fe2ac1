"""Loading into a state that is alive: everything is compared before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ckstore.adapters import containers, opaque, ties
from ckstore.adapters.build import build
from ckstore.adapters.memory import overlapping, same
from ckstore.adapters.numpy import targets as numpy_targets
from ckstore.adapters.refusal import type_name, where
from ckstore.adapters.rows import LoadedRow, SavedRow
from ckstore.adapters.target import Target
from ckstore.adapters.targets import fresh, tensor_rows, torch_targets
from ckstore.adapters.walk import Item, walk
from ckstore.errors import UsageError
from ckstore.format.manifest import is_composite
from ckstore.format.records import NodeRow, TensorRow, ValueRow
from ckstore.tensor import Path, TensorView

_SHOWN = 5


def destinations(
    rows: Sequence[LoadedRow], into: Any, allow_pickle: bool, partial: bool, chunk_ids: Mapping[Path, bytes]
) -> dict[Path, Target]:
    """Targets that overwrite the tensors of `into`; UsageError, listing what differs, if it does not fit `rows`.

    Composite leaves and plain values are not overwritten: they are made anew, and into_result() puts them in place.
    """
    live = {item.path: item for item in walk(into, _anything)}
    inner = _inner_paths(rows)
    _compare(rows, live, inner, partial)
    tensors = tensor_rows(rows, allow_pickle)
    anew = {path for path, row in tensors.items() if path in inner or row.kind in opaque.KINDS}
    targets = fresh([tensors[path] for path in anew], allow_pickle=allow_pickle)
    kept = {path: live[path] for path in tensors if path not in anew}
    _check_ties(tensors, kept, chunk_ids)
    crowded = _crowded(kept)
    for path in _once(tensors, kept):
        item, exclusive = kept[path], path not in crowded
        targets[path] = _side(item).live(item.value, exclusive)
    return targets


def into_result(rows: Sequence[LoadedRow], leaves: Mapping[Path, Any], into: Any, *, allow_pickle: bool = False) -> Any:
    """`into` with its plain values and composites replaced by what was loaded; tuples that change are new tuples."""
    inner = _inner_paths(rows)
    live: dict[Path, Any] = {}
    finished = dict(leaves)
    for item in walk(into, _anything):
        if isinstance(item.row, NodeRow) and not is_composite(item.row):
            live[item.path] = item.value
        elif item.memory is not None and item.path not in inner:
            finished[item.path] = item.value
    return build(rows, finished, allow_pickle=allow_pickle, partial=True, live=live) if rows else into


def _compare(rows: Sequence[LoadedRow], live: dict[Path, Item], inner: set[Path], partial: bool) -> None:
    """Raise UsageError if names, kinds, shapes or dtypes differ."""
    found = []
    paths = set()
    for row in rows:
        path = row.path
        paths.add(path)
        if path in inner:
            continue
        why = _difference(row, live[path]) if path in live else "is not in the state given as into="
        if why:
            found.append(f"{where(path)} {why}")
    if not partial:
        composites = {path for path, item in live.items() if is_composite(item.row)}
        extra = [path for path in live if path not in paths and not _is_below(path, composites)]
        found += [f"{where(path)} is not in the checkpoint" for path in extra]
    if found:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise UsageError(f"into= does not fit the checkpoint, nothing was written: {'; '.join(found[:_SHOWN])}{more}")


def _difference(row: LoadedRow, item: Item) -> str | None:
    """What keeps `row` from being loaded into `item`, or None."""
    if isinstance(row, ValueRow) or row.kind in opaque.KINDS:
        fits = _is_plain(item.row) or (isinstance(row, TensorRow) and row.kind == opaque.PICKLE)
        return None if fits else f"is a plain value in the checkpoint, {_what(item)} in the state"
    if isinstance(row, NodeRow):
        return _node_difference(row, item)
    view = item.row
    if not isinstance(view, TensorView) or view.kind in opaque.KINDS:
        return f"is a tensor in the checkpoint, {_what(item)} in the state"
    saved, given = row.attrs.get("dtype", row.dtype), view.attrs.get("dtype", view.dtype)
    if saved != given or row.dtype != view.dtype:
        return f"is {saved} in the checkpoint, {given} in the state"
    if tuple(row.shape) != view.shape:
        return f"has shape {tuple(row.shape)} in the checkpoint, {view.shape} in the state"
    reason: str | None = _side(item).check_live(item.value)
    return f"cannot be written: {reason}" if reason else None


def _node_difference(row: NodeRow, item: Item) -> str | None:
    if not isinstance(item.row, NodeRow):
        return f"is a {row.kind} in the checkpoint, {_what(item)} in the state"
    saved, given = row.kind, item.row.kind
    if saved != given and not {saved, given} <= containers.MAPPINGS:
        return f"is a {saved} in the checkpoint, a {given} in the state"
    for name in ("n", "class", "shape"):
        if row.attrs.get(name) != item.row.attrs.get(name):
            return f"has {name} {row.attrs.get(name)} in the checkpoint, {item.row.attrs.get(name)} in the state"
    return None


def _check_ties(tensors: Mapping[Path, TensorRow], kept: Mapping[Path, Item], chunk_ids: Mapping[Path, bytes]) -> None:
    """Raise UsageError if live tensors share memory that would have to hold two values."""
    pair = ties.conflict(tensors, {path: item.memory for path, item in kept.items()}, chunk_ids)
    if pair is not None:
        raise UsageError(
            f"into= does not fit the checkpoint, nothing was written: {where(pair[1])} shares memory with "
            f"{where(pair[0])} in the state and not in the checkpoint, where they differ; give them memory of their own"
        )


def _once(tensors: Mapping[Path, TensorRow], kept: Mapping[Path, Item]) -> list[Path]:
    """The paths of `kept` without those that are one object with an earlier one, both as saved and alive."""
    seen: set[Any] = set()
    paths = []
    for path, item in kept.items():
        number = tensors[path].attrs.get("same")
        twin = (number, item.memory.key) if number is not None and item.memory else path
        if twin not in seen:
            paths.append(path)
        seen.add(twin)
    return paths


def _crowded(kept: Mapping[Path, Item]) -> set[Path]:
    """The paths whose memory another path has too: several threads may write there, so only finished bytes may be."""
    paths = list(kept)
    memories = [item.memory for item in kept.values()]
    groups = same(memories) + overlapping(memories)
    return {paths[position] for group in groups for position in group}


def _side(item: Item) -> Any:
    is_numpy = isinstance(item.row, TensorView) and item.row.kind.startswith("numpy.")
    return numpy_targets if is_numpy else torch_targets(item.path)


def _inner_paths(rows: Sequence[LoadedRow]) -> set[Path]:
    """The paths of the parts of composites."""
    composites = {row.path for row in rows if is_composite(row)}
    return {path for row in rows if _is_below(path := row.path, composites)}


def _is_below(path: Path, composites: set[Path]) -> bool:
    return bool(composites) and any(path[:n] in composites for n in range(len(path)))


def _is_plain(row: SavedRow | None) -> bool:
    return isinstance(row, ValueRow) or (isinstance(row, TensorView) and row.kind in opaque.KINDS)


def _what(item: Item) -> str:
    if item.row is None:
        return f"a {type_name(item.value)}"
    return "a plain value" if _is_plain(item.row) else f"a {getattr(item.row, 'kind', 'value')}"


def _anything(path: Path, value: Any, reason: str) -> None:
    """An object that could not be saved may still stand where an object is to be replaced."""
