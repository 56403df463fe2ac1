"""What the codec knows of a dtype: the width of the numbers it is made of and whether they are floats."""

from __future__ import annotations

from dataclasses import dataclass

WIDTHS = (1, 2, 4, 8)
"""Bytes of an element the kernels take."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How to look at the bytes of a chunk: as elements of `width` bytes, sign-magnitude floats or integers."""

    width: int
    is_float: bool


OPAQUE = Kind(1, False)

_FLOATS = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "complex128": 8, "complex64": 4, "complex32": 2,
    "float8_e4m3fn": 1, "float8_e4m3fnuz": 1, "float8_e5m2": 1, "float8_e5m2fnuz": 1, "float8_e4m3": 1,
    "float8_e4m3b11fnuz": 1, "float8_e3m4": 1,
}  # fmt: skip
_INTEGERS = {
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint64": 8, "uint32": 4, "uint16": 2, "uint8": 1,
    "bool": 1, "float8_e8m0fnu": 1,
}  # fmt: skip
_KINDS = {name: Kind(width, True) for name, width in _FLOATS.items()}
_KINDS |= {name: Kind(width, False) for name, width in _INTEGERS.items()}

_MANTISSAS = {
    "float64": 52, "float32": 23, "float16": 10, "bfloat16": 7, "complex128": 52, "complex64": 23, "complex32": 10,
}  # fmt: skip


def mantissa_of(dtype: str) -> int | None:
    """Bits below the exponent of the floats that a dtype is made of; None for dtypes that are not recentred."""
    return _MANTISSAS.get(dtype)


def kind_of(dtype: str, n_bytes: int) -> Kind:
    """The kind of a chunk of `n_bytes`: opaque bytes for any other dtype, and where elements do not fill the length.

    A complex number is two floats.
    """
    kind = _KINDS.get(dtype, OPAQUE)
    return kind if n_bytes % kind.width == 0 else OPAQUE
