"""Flat little-endian integer columns ⇄ Python ints."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ckstore.errors import FormatError


def pack(values: Iterable[int], dtype: str) -> bytes:
    """One column of `dtype` ("u1", "<u2", "<u4" or "<u8")."""
    return np.fromiter(values, dtype=dtype).tobytes()


def array(column: bytes, dtype: str, n: int, what: str) -> Any:
    """The n values of a column as an array of `dtype`; raises FormatError if it has another length."""
    if len(column) != n * np.dtype(dtype).itemsize:
        raise FormatError(f"{what}: a column has the wrong length", object=what)
    return np.frombuffer(column, dtype)


def unpack(column: bytes, dtype: str, n: int, what: str) -> list[int]:
    """The same as Python ints."""
    values: list[int] = array(column, dtype, n, what).tolist()
    return values
