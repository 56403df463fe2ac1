"""The doors of the adapters: a state -> rows, and rows -> tensors to fill -> a state.

A container row stands before the rows below it. A TensorView or TensorRow is a tensor, or a long plain value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ckstore.adapters import into as live
from ckstore.adapters import opaque, ties
from ckstore.adapters.build import build
from ckstore.adapters.into import into_result
from ckstore.adapters.plainer import arrays_only
from ckstore.adapters.refusal import refuse
from ckstore.adapters.rows import LoadedRow, SavedRow
from ckstore.adapters.target import Target
from ckstore.adapters.targets import fresh
from ckstore.adapters.walk import walk
from ckstore.engine.selection import select
from ckstore.errors import UsageError
from ckstore.tensor import Path, TensorView

__all__ = ["Target", "arrays_only", "build", "destinations", "flatten", "into_result", "select"]


def flatten(state: Any, *, allow_pickle: bool = False) -> list[SavedRow]:
    """The rows of `state`, in order. Nothing is copied: the views read live memory.

    Raises UsageError naming path and type for anything that could not come back as it is; allow_pickle=True saves
    objects of unknown types by pickle instead. Views with equal attrs["same"] are one tensor.
    """
    items = list(walk(state, _pickled if allow_pickle else _refused))  # all values stay alive until ties are known
    rows = [item.row for item in items if item.row is not None]
    attrs = [row.attrs if isinstance(row, TensorView) else {} for row in rows]
    ties.mark([item.memory for item in items], attrs)
    return rows


def destinations(
    rows: Sequence[LoadedRow],
    *,
    framework: str | None = None,
    device: Any = None,
    into: Any = None,
    allow_pickle: bool = False,
    partial: bool = False,
    chunk_ids: Mapping[Path, bytes] | None = None,
) -> dict[Path, Target]:
    """Where the bytes of the tensor rows go. A row without a target needs none: it is one object with an earlier row.

    framework: "numpy" or "torch" for all tensors; None = as saved. device: for torch tensors; None = cpu, "saved" =
    where they were. into: a state to overwrite; it is compared whole before this returns, UsageError lists what
    differs. partial: `rows` went through select(), so `into` may hold more. chunk_ids: tensors with equal ones hold
    equal bytes.
    """
    if into is None:
        return fresh(rows, framework, device, allow_pickle)
    if framework is not None or device is not None:
        raise UsageError("into= decides framework and device itself; leave both out")
    return live.destinations(rows, into, allow_pickle, partial, chunk_ids or {})


def _refused(path: Path, value: Any, reason: str) -> SavedRow:
    raise refuse(path, value, reason)


def _pickled(path: Path, value: Any, reason: str) -> SavedRow:
    return opaque.pickled_row(path, value)
