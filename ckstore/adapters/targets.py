"""Rows of a manifest -> fresh tensors to be filled, in the framework asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckstore.adapters import opaque, ties
from ckstore.adapters.numpy import targets as numpy_targets
from ckstore.adapters.refusal import where
from ckstore.adapters.rows import LoadedRow
from ckstore.adapters.target import Target
from ckstore.adapters.ties import Shared
from ckstore.errors import FormatError, UsageError
from ckstore.format.records import TensorRow
from ckstore.tensor import Path

FRAMEWORKS = (None, "numpy", "torch")


def fresh(
    rows: Sequence[LoadedRow], framework: str | None = None, device: Any = None, allow_pickle: bool = False
) -> dict[Path, Target]:
    """A target for every tensor row that needs its bytes read: of rows that are one object, the first only."""
    if framework not in FRAMEWORKS:
        raise UsageError(f"framework must be 'numpy', 'torch' or None, not {framework!r}")
    tensors = tensor_rows(rows, allow_pickle)
    shared = ties.whole_groups([row for row in tensors.values() if row.kind not in opaque.KINDS])
    targets = _views(tensors, shared, framework, device)
    first = {row.path for row in ties.first_of_same(list(tensors.values()))}
    for path, row in tensors.items():
        if path in first and path not in targets:
            targets[path] = _fresh(row, path, framework, device)
    return targets


def tensor_rows(rows: Sequence[LoadedRow], allow_pickle: bool) -> dict[Path, TensorRow]:
    """The tensor rows by path, each checked."""
    found: dict[Path, TensorRow] = {}
    for row in rows:
        if isinstance(row, TensorRow):
            path = row.path
            if path in found:
                raise FormatError(f"two rows have the path {path!r}")
            if row.kind == opaque.PICKLE and not allow_pickle:
                raise opaque.refuse_pickle(path, row)
            found[path] = row
    return found


def side_of(row: TensorRow, path: Path, framework: str | None) -> str:
    """The framework that holds the leaf of a row."""
    home = row.kind.partition(".")[0]
    if home not in ("numpy", "torch"):
        raise FormatError(f"{where(path)}: unknown kind {row.kind!r:.100}")
    return framework or home


def torch_targets(path: Path) -> Any:
    """The torch side; UsageError where torch is not installed."""
    try:
        from ckstore.adapters.torch import targets
    except ImportError as error:
        raise UsageError(f"{where(path)} is a torch tensor: install torch, or load with framework='numpy'") from error
    return targets


def _fresh(row: TensorRow, path: Path, framework: str | None, device: Any) -> Target:
    if row.kind in opaque.KINDS:
        return opaque.target(row, path, framework)
    if side_of(row, path, framework) == "numpy":
        return numpy_targets.fresh(row, path)
    made: Target = torch_targets(path).fresh(row, path, device)
    return made


def _views(
    tensors: dict[Path, TensorRow], shared: dict[Path, Shared], framework: str | None, device: Any
) -> dict[Path, Target]:
    """Targets of views that share a buffer, group by group."""
    groups: dict[tuple[str, int], list[tuple[TensorRow, Path, Shared]]] = {}
    for path, place in shared.items():
        side = side_of(tensors[path], path, framework)
        groups.setdefault((side, place.group), []).append((tensors[path], path, place))
    targets: dict[Path, Target] = {}
    for (side, _), members in groups.items():
        if side == "numpy":
            targets.update(numpy_targets.views(members))
        else:
            targets.update(torch_targets(members[0][1]).views(members, device))
    return targets
