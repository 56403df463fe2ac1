"""NumPy dtypes <-> plain data, by name and never by code (`dtype.str` is the same for several ml_dtypes).

A dtype is a name, or one of these lists:
["S" | "U" | "V", n]                            n bytes, characters or bytes
["longdouble" | "clongdouble", itemsize, bits]  bits: of the mantissa, which differ between platforms
[">", dtype]                                    big-endian
["struct", itemsize, aligned, [[name, offset, dtype], ...]]
["array", shape, dtype]                         a field that is itself an array
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

from ckstore.adapters.refusal import RefusedError
from ckstore.adapters.rows import is_text
from ckstore.errors import FormatError, UnsupportedError
from ckstore.tensor import ITEM_BYTES

DType: TypeAlias = "np.dtype[Any]"

_NATIVE = frozenset((
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
))  # fmt: skip
_ML_DTYPES = frozenset((
    "bfloat16", "complex32", "bcomplex32", "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn", "float8_e3m4",
    "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
    "float8_e8m0fnu", "int1", "int2", "int4", "uint1", "uint2", "uint4",
))  # fmt: skip
_TIMES = re.compile(r"(datetime64|timedelta64)(\[(\d{1,9})?(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?")
_LONG = {np.longdouble: "longdouble", np.clongdouble: "clongdouble"}
_LONG_BITS = int(np.finfo(np.longdouble).nmant)
_MAX_ITEM_BYTES = 1 << 20
_MAX_NESTING = 16


def describe(dtype: DType) -> Any:
    """`dtype` as plain data; RefusedError if it cannot be stored."""
    if dtype.hasobject:
        raise RefusedError(_object_reason(dtype))
    if dtype.subdtype is not None:
        return ["array", list(dtype.subdtype[1]), describe(dtype.subdtype[0])]
    if dtype.names is not None and dtype.type is not np.void:
        raise RefusedError(
            "records (numpy.recarray) would come back as plain structured items; save x.view(numpy.ndarray)"
        )
    if dtype.names is not None:
        return ["struct", dtype.itemsize, dtype.isalignedstruct, _fields(dtype)]
    if not dtype.isnative:
        return [">", describe(dtype.newbyteorder("="))]
    if dtype.type in _LONG:  # not by dtype.char, which ml_dtypes use again
        return [_LONG[dtype.type], dtype.itemsize, _LONG_BITS]
    if dtype.kind in "SU":
        return [dtype.kind, dtype.itemsize // (4 if dtype.kind == "U" else 1)]
    if dtype.name in _NATIVE or _TIMES.fullmatch(dtype.name) or _is_ml(dtype):
        return dtype.name
    if dtype.kind == "V" and dtype.type is np.void:
        return ["V", dtype.itemsize]
    raise RefusedError(f"the dtype {dtype} is not known to ckstore")


def parse(data: Any, depth: int = 0) -> DType:
    """Inverse of describe(); FormatError if malformed, UnsupportedError if this platform or ml_dtypes lacks it."""
    if isinstance(data, str):
        return _named(data)
    if not isinstance(data, list) or len(data) < 2 or depth > _MAX_NESTING:
        raise FormatError(f"malformed dtype {data!r:.200}")
    try:
        return _composed(data, depth)
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        raise FormatError(f"malformed dtype {data!r:.200}: {error}") from error


def storage_name(dtype: DType) -> str:
    """The dtype under which the engine stores items of `dtype`: by meaning where the codec knows it, else opaque."""
    if not 1 <= dtype.itemsize <= _MAX_ITEM_BYTES:
        raise RefusedError(f"items of {dtype.itemsize} bytes: only 1 byte to 1 MiB can be stored")
    if dtype.isnative and dtype.names is None:
        if dtype.kind in "mM":
            return "int64"
        if dtype.name in ITEM_BYTES and (dtype.name in _NATIVE or _is_ml(dtype)):
            return dtype.name
    return f"bytes:{dtype.itemsize}"


def significant(dtype: DType) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """0xFF for the bytes of an item that mean something, 0 for padding, which may hold anything."""
    mask = np.zeros(dtype.itemsize, np.uint8)
    if dtype.subdtype is not None:
        return np.tile(significant(dtype.subdtype[0]), dtype.itemsize // dtype.subdtype[0].itemsize)
    if dtype.names is not None and dtype.fields is not None:
        for field, offset in (dtype.fields[name][:2] for name in dtype.names):
            mask[offset : offset + field.itemsize] |= significant(field)
        return mask
    if dtype.type is np.clongdouble:
        return np.tile(significant(np.dtype("g")), 2)
    if dtype.type is np.longdouble and _LONG_BITS == 63:
        mask[:10] = 0xFF  # the x87 format: 80 bits in 12 or 16 bytes
        return mask
    mask[:] = 0xFF
    return mask


def _is_ml(dtype: DType) -> bool:
    return dtype.name in _ML_DTYPES and dtype.type is getattr(ml_dtypes, dtype.name, None)


def _fields(dtype: DType) -> list[list[Any]]:
    described = []
    for name in dtype.names or ():
        field = dtype.fields[name] if dtype.fields is not None else ()
        if len(field) != 2:
            raise RefusedError(f"the field {name!r} has a title; only its name can be stored")
        if not is_text(name):
            raise RefusedError(f"the field name {name!r} holds lone surrogates")
        described.append([name, field[1], describe(field[0])])
    return described


def _named(name: str) -> DType:
    if name in _NATIVE or _TIMES.fullmatch(name):
        return np.dtype(name)
    if name not in _ML_DTYPES:
        raise FormatError(f"unknown NumPy dtype {name!r:.200}")
    if not hasattr(ml_dtypes, name):
        raise UnsupportedError(f"the installed ml_dtypes has no {name}: upgrade it")
    dtype: DType = np.dtype(getattr(ml_dtypes, name))
    return dtype


def _composed(data: list[Any], depth: int) -> DType:
    kind, rest = data[0], data[1:]
    if kind in ("S", "U", "V"):
        return np.dtype((kind, _size(rest[0])))
    if kind == ">":
        swapped: DType = parse(rest[0], depth + 1).newbyteorder(">")
        return swapped
    if kind == "array":
        return np.dtype((parse(rest[1], depth + 1), tuple(_size(n) for n in rest[0])))
    if kind == "struct":
        itemsize, aligned, fields = rest
        formats = [parse(field[2], depth + 1) for field in fields]
        names, offsets = [str(field[0]) for field in fields], [_size(field[1]) for field in fields]
        layout: Any = {"names": names, "formats": formats, "offsets": offsets, "itemsize": _size(itemsize)}
        composed: DType = np.dtype(layout, align=aligned is True)
        return composed
    if kind in _LONG.values():
        return _long(kind, rest)
    raise ValueError("unknown kind")


def _long(kind: str, rest: list[Any]) -> DType:
    dtype = np.dtype("g" if kind == "longdouble" else "G")
    if rest != [dtype.itemsize, _LONG_BITS]:
        raise UnsupportedError(
            f"{kind} of this platform differs from the saved one (item bytes, mantissa bits: {rest})"
        )
    return dtype


def _size(n: Any) -> int:
    if type(n) is int and 0 <= n <= _MAX_ITEM_BYTES:
        return n
    raise ValueError(f"{n!r} is not a size")


def _object_reason(dtype: DType) -> str:
    if dtype.kind == "T":
        return "StringDType keeps its text outside the array; save it as fixed strings, array.astype('U')"
    return "object arrays hold Python objects, not data; save a list, an array of numbers, or use allow_pickle=True"
