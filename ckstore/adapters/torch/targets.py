"""Rows of a manifest -> torch tensors to be filled."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from types import FunctionType
from typing import Any

import torch

from ckstore.adapters import strided
from ckstore.adapters.refusal import where
from ckstore.adapters.rows import int_list
from ckstore.adapters.target import Target
from ckstore.adapters.ties import Shared
from ckstore.adapters.torch import dtypes, elsewhere
from ckstore.adapters.torch.leaves import is_dense, is_host
from ckstore.errors import FormatError, UsageError
from ckstore.format.records import TensorRow
from ckstore.tensor import ITEM_BYTES, Path, item_bytes


def device_of(row: TensorRow, device: Any) -> torch.device:
    """Where the tensor of `row` is to be: cpu unless asked.

    device: also "saved" = where it was when it was saved, or a function from that device's name to the wanted one.
    """
    saved = row.attrs.get("device", "cpu")
    if not isinstance(saved, str):
        raise FormatError(f"row {row.path!r}: malformed attribute 'device'")
    asked = "cpu" if device is None else device
    if isinstance(asked, FunctionType):  # not callable(): torch.device is callable too
        asked = asked(saved)
    elif asked == "saved":
        asked = saved
    try:
        place = torch.device(asked)
    except (RuntimeError, TypeError) as error:
        raise UsageError(f"{asked!r} is not a torch device: {error}") from error
    _check_device(place)
    return place


@lru_cache(16)
def _check_device(place: torch.device) -> None:
    """Raise UsageError if no tensor can be made there."""
    try:
        torch.empty(0, device=place)
    except (AssertionError, ImportError, RuntimeError) as error:  # torch raises each of them for what is not there
        reason = str(error).partition("\n")[0]
        raise UsageError(f"device {place} cannot be used here ({reason}): name another with device=") from error


def dtype_of(row: TensorRow, path: Path) -> torch.dtype:
    """The torch dtype of a row; UsageError where only NumPy has it."""
    if "dtype" not in row.attrs:
        return _checked(dtypes.parse(row.dtype), row, path)
    if row.kind.startswith("torch."):
        return _checked(dtypes.parse(row.attrs["dtype"]), row, path)
    raise UsageError(f"{where(path)} is a NumPy array of {row.attrs['dtype']}, which torch has not: load it as numpy")


def fresh(row: TensorRow, path: Path, device: Any) -> Target:
    """A new tensor with the memory order of the saved one."""
    dtype, shape, place = dtype_of(row, path), tuple(row.shape), device_of(row, device)
    strides = int_list(row.attrs, "strides", len(shape)) if row.kind.startswith("torch.") else None
    if strides is None:
        tensor = torch.empty(shape, dtype=dtype, device=place)
    elif is_dense(shape, tuple(strides)) and all(0 <= step < 1 << 62 for step in strides):
        tensor = torch.empty_strided(shape, strides, dtype=dtype, device=place)
    else:
        raise FormatError(f"row {path!r}: strides {strides} do not fit shape {shape}")
    return Target(_destination(tensor, True), lambda: _wrap(tensor, row, path))


def views(members: Sequence[tuple[TensorRow, Path, Shared]], device: Any) -> dict[Path, Target]:
    """Tensors that share one new storage."""
    place = device_of(members[0][0], device)
    storage = torch.empty(members[0][2].span_bytes, dtype=torch.uint8, device=place).untyped_storage()
    targets = {}
    for row, path, shared in members:
        dtype = dtype_of(row, path)
        if any(step < 0 for step in shared.strides):
            raise UsageError(
                f"{where(path)} runs backwards through shared memory, which torch cannot: load it as numpy"
            )
        strides = [step // dtype.itemsize for step in shared.strides]
        tensor = torch.empty(0, dtype=dtype, device=place)
        tensor.set_(storage, shared.offset // dtype.itemsize, tuple(row.shape), strides)
        targets[path] = Target(_destination(tensor, False), partial(_wrap, tensor, row, path))
    return targets


def live(value: torch.Tensor, exclusive: bool) -> Target:
    """Fill a tensor in place, under autograd's nose but not behind its back. REQUIRES: check_live() found nothing."""

    def finish() -> torch.Tensor:
        if not value.is_inference():
            torch.autograd.graph.increment_version(value)  # a graph that saved the old values must notice
        return value

    return Target(_destination(value, exclusive), finish)


def check_live(value: torch.Tensor) -> str | None:
    """Why `value` cannot be written in place, or None."""
    if value.is_conj() or value.is_neg():
        return "the tensor is a lazy conjugate or negative view"
    if any(step == 0 and n > 1 for step, n in zip(value.stride(), value.shape, strict=True)):
        return "the tensor is expanded: several elements are one place in memory"
    return None


def _destination(tensor: torch.Tensor, exclusive: bool) -> Any:
    if is_host(tensor):
        return strided.destination(dtypes.carried(tensor).numpy(), exclusive=exclusive)
    return elsewhere.destination(tensor)


def _wrap(tensor: torch.Tensor, row: TensorRow, path: Path) -> torch.Tensor:
    """The leaf as it was saved."""
    requires_grad = row.attrs.get("requires_grad") is True
    try:
        if row.kind == "torch.Parameter":
            return torch.nn.Parameter(tensor, requires_grad=requires_grad)
        if row.kind == "torch.Buffer" and hasattr(torch.nn, "Buffer"):
            return torch.nn.Buffer(tensor, persistent=row.attrs.get("buffer") is not False)
        return tensor.requires_grad_(requires_grad)
    except RuntimeError as error:
        raise FormatError(f"row {path!r}: {row.dtype} cannot require a gradient") from error


def _checked(dtype: torch.dtype, row: TensorRow, path: Path) -> torch.dtype:
    if dtype.itemsize != item_bytes(row.dtype) or (row.dtype not in ITEM_BYTES and not row.dtype.startswith("bytes:")):
        raise FormatError(f"row {path!r}: {dtype} is not stored as {row.dtype}")
    return dtype
