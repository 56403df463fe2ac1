"""Composite leaves (sparse, quantised, masked, subclasses): several tensors that are one object."""

from __future__ import annotations

from typing import Any

from ckstore.adapters.numpy import targets as numpy_targets
from ckstore.adapters.refusal import where
from ckstore.errors import FormatError, UsageError
from ckstore.format.records import NodeRow
from ckstore.tensor import Path


def assemble(row: NodeRow, path: Path, parts: dict[str, Any], framework: str | None) -> Any:
    """The composite leaf. In another framework than its own it comes out as a dict of its attributes and parts."""
    home = row.kind.partition(".")[0]
    if home not in ("numpy", "torch"):
        raise FormatError(f"{where(path)}: unknown kind {row.kind!r:.100}")
    if framework not in (None, home):
        return {"kind": row.kind, **row.attrs, **parts}
    try:
        if home == "numpy":
            return numpy_targets.assemble(row.kind, row.attrs, parts)
        return _torch(row, path, parts)
    except (FormatError, UsageError) as error:
        raise type(error)(f"{where(path)}: {error.message}") from error


def _torch(row: NodeRow, path: Path, parts: dict[str, Any]) -> Any:
    try:
        from ckstore.adapters.torch import composites as torch_composites
    except ImportError as error:
        raise UsageError("is a torch tensor: install torch, or load with framework='numpy'") from error
    return torch_composites.assemble(row.kind, row.attrs, parts)
