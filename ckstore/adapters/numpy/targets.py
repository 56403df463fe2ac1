"""Rows of a manifest -> NumPy arrays to be filled."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ckstore.adapters import strided
from ckstore.adapters.numpy import dtypes
from ckstore.adapters.refusal import where
from ckstore.adapters.rows import int_list
from ckstore.adapters.target import Target
from ckstore.adapters.ties import Shared
from ckstore.errors import FormatError, UnsupportedError, UsageError
from ckstore.format.records import TensorRow
from ckstore.tensor import Path


def dtype_of(row: TensorRow, path: Path) -> dtypes.DType:
    """The NumPy dtype of a row; UsageError where only torch has it."""
    if row.kind.startswith("torch."):
        name = row.attrs.get("dtype", row.dtype)
        try:
            return dtypes.parse(None if "dtype" in row.attrs else name)  # what torch alone has is stored opaque
        except (FormatError, UnsupportedError) as error:
            raise UsageError(
                f"{where(path)} is a torch tensor of {name}, which NumPy has not: load it as torch"
            ) from error
    dtype = dtypes.parse(row.attrs.get("dtype", row.dtype))
    if dtypes.storage_name(dtype) != row.dtype:
        raise FormatError(f"row {path!r}: {dtype} is not stored as {row.dtype}")
    return dtype


def fresh(row: TensorRow, path: Path) -> Target:
    """A new array with the memory order of the saved one."""
    dtype, shape = dtype_of(row, path), tuple(row.shape)
    order = int_list(row.attrs, "order", len(shape)) if row.kind.startswith("numpy.") else None
    if order is None:
        array = np.empty(shape, dtype)
    elif sorted(order) != list(range(len(shape))):
        raise FormatError(f"row {path!r}: {order} is not an order of its dims")
    else:
        array = np.empty([shape[dim] for dim in order], dtype).transpose(np.argsort(order))
    return Target(strided.destination(array), lambda: array)


def views(members: Sequence[tuple[TensorRow, Path, Shared]]) -> dict[Path, Target]:
    """Arrays that share one new buffer."""
    buffer = np.empty(members[0][2].span_bytes, np.uint8)
    targets = {}
    for row, path, shared in members:
        array = np.ndarray(tuple(row.shape), dtype_of(row, path), buffer, shared.offset, tuple(shared.strides))
        targets[path] = Target(strided.destination(array, exclusive=False), partial(_itself, array))
    return targets


def live(value: strided.Array, exclusive: bool) -> Target:
    """Fill an array in place. REQUIRES: check_live() found nothing."""
    return Target(strided.destination(value.view(np.ndarray), exclusive=exclusive), lambda: value)


def check_live(value: strided.Array) -> str | None:
    """Why `value` cannot be written in place, or None."""
    return None if value.flags.writeable else "the array is read-only"


def assemble(kind: str, attrs: dict[str, Any], parts: dict[str, Any]) -> Any:
    """A composite leaf from its finished parts."""
    if kind != "numpy.masked" or not isinstance(parts.get("data"), np.ndarray):
        raise FormatError(f"unknown composite {kind!r:.100}")
    fill = parts.get("fill_value")
    try:
        array = np.ma.MaskedArray(
            parts["data"], parts.get("mask", np.ma.nomask), hard_mask=attrs.get("hard_mask") is True
        )
        if fill is not None:
            array.fill_value = fill[()]
    except (TypeError, ValueError, AttributeError, IndexError, np.ma.MAError) as error:
        raise FormatError(f"the parts of a {kind} do not fit together: {error}") from error
    return array


def _itself(array: strided.Array) -> strided.Array:
    return array
