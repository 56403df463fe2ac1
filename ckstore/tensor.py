"""The only types that cross the border between adapters and the engine: tensors as named ranges of bytes.

A tensor is its elements in logical C order, `item_bytes` each, little-endian unless its dtype name says otherwise.
Nothing here knows a framework, a file or a codec.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

Path = tuple[Any, ...]
"""Typed keys from the root of a state to a leaf: dict keys as they are, list and tuple positions as ints."""

ITEM_BYTES: dict[str, int] = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2,
    "float8_e4m3fn": 1, "float8_e4m3fnuz": 1, "float8_e5m2": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
    "float8_e4m3": 1, "float8_e4m3b11fnuz": 1, "float8_e3m4": 1,
    "complex128": 16, "complex64": 8, "complex32": 4,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1,
    "uint64": 8, "uint32": 4, "uint16": 2, "uint8": 1, "bool": 1,
}  # fmt: skip
"""Bytes of one element, per dtype name. Any other dtype is `bytes:N`: opaque items of N bytes."""


def item_bytes(dtype: str) -> int:
    """Bytes of one element of `dtype`; raises KeyError for an unknown name, ValueError for a bad `bytes:N`."""
    if dtype.startswith("bytes:"):
        size = int(dtype[6:])
        if not 1 <= size <= 1 << 20:
            raise ValueError(f"item size out of range in dtype {dtype!r}")
        return size
    return ITEM_BYTES[dtype]


def dotted(path: Path) -> str:
    """`path` for display and for `select=`: keys joined by dots."""
    return ".".join(str(key) for key in path)


@dataclass(frozen=True, slots=True)
class TensorView:
    """One tensor of a state that is being saved.

    read(start, stop): the bytes of that byte range, in logical C order; a view of live memory where possible,
    otherwise a private copy of that range only. INVARIANT: 0 <= start <= stop <= nbytes, both on item borders.
    kind: the leaf type to give back ("torch.Tensor", "numpy.ndarray", ...). attrs: what else that type needs.
    """

    path: Path
    kind: str
    dtype: str
    shape: tuple[int, ...]
    read: Callable[[int, int], memoryview]
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Logical size in bytes."""
        return prod(self.shape) * item_bytes(self.dtype)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the bytes of one tensor go when it is loaded.

    window(start, stop): writable memory of that byte range, or None where the target is not contiguous;
    then write(start, data) takes the bytes instead.
    """

    window: Callable[[int, int], memoryview | None]
    write: Callable[[int, memoryview], None]
