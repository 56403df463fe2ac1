"""NumPy scalars and dtypes as plain values."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckstore.adapters.numpy import dtypes
from ckstore.adapters.refusal import RefusedError
from ckstore.errors import FormatError


def lower(value: np.generic) -> list[Any]:
    """[dtype, bytes] of a scalar, padding zeroed; RefusedError for a kind that cannot come back exactly."""
    dtype = value.dtype
    if type(value) is not dtype.type or dtype.hasobject:
        raise RefusedError("not a NumPy scalar of a known kind")
    data = np.frombuffer(value.tobytes()[: dtype.itemsize], np.uint8)
    return [dtypes.describe(dtype), (data & dtypes.significant(dtype)).tobytes()]


def lift(described: Any, data: Any) -> np.generic:
    """Inverse of lower()."""
    dtype = dtypes.parse(described)
    if type(data) is not bytes or len(data) != dtype.itemsize or dtype.subdtype is not None:
        raise FormatError(f"malformed NumPy scalar of {dtype}")
    scalar: np.generic = np.ndarray((1,), dtype, bytearray(data))[0]
    return scalar
