"""Torch dtypes by name, and the integers that carry their bits."""

from __future__ import annotations

from typing import Any

import torch

from ckstore.errors import FormatError, UnsupportedError, UsageError
from ckstore.tensor import ITEM_BYTES

CARRIERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.complex128}
"""Dtypes that NumPy knows too, by item bytes: a view as one of these moves bits and never values."""


def name_of(dtype: torch.dtype) -> str:
    """`float32` for torch.float32."""
    return str(dtype).removeprefix("torch.")


def stored_as(dtype: torch.dtype) -> tuple[str, dict[str, Any]]:
    """The dtype the engine stores, and the attribute that names the torch one where that differs."""
    name = name_of(dtype)
    return (name, {}) if name in ITEM_BYTES else (f"bytes:{dtype.itemsize}", {"dtype": name})


def parse(name: Any) -> torch.dtype:
    """Inverse of name_of(); UsageError where the installed torch has no such dtype."""
    if not isinstance(name, str) or not name.isidentifier():
        raise FormatError(f"malformed torch dtype {name!r:.100}")
    dtype = vars(torch).get(name)  # getattr would import what torch loads lazily, as the store tells it
    if not isinstance(dtype, torch.dtype):
        raise UsageError(f"the installed torch {torch.__version__} has no dtype {name}")
    return dtype


def carried(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor` with its bits as integers; same memory, any strides, no autograd. REQUIRES: no conj or neg bit."""
    carrier = CARRIERS.get(tensor.dtype.itemsize)
    if carrier is None:
        raise UnsupportedError(f"torch dtype {name_of(tensor.dtype)} has items of {tensor.dtype.itemsize} bytes")
    return tensor.detach().view(carrier)
