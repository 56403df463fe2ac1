"""Plain values <-> bytes: MessagePack without maps and extensions.

None, bool, 64-bit ints, floats, text and bytes are themselves. Everything else is an array whose first item is one of
the tags below, so an array never stands for itself: a list is [LIST, items...], a tuple [TUPLE, items...].
Floats keep their bits, NaN payloads included. Tags are append-only.
"""

from __future__ import annotations

import enum
import struct
import sys
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from ckstore.adapters.numpy import dtypes, scalars
from ckstore.adapters.refusal import RefusedError, type_name
from ckstore.adapters.resolve import is_resolvable, name_of, resolve
from ckstore.errors import CkError, FormatError, UsageError

LIST, TUPLE, INT, STR, COMPLEX, BYTEARRAY, SLICE, RANGE, ENUM, NUMPY_SCALAR, NUMPY_DTYPE, TORCH, DICT, ORDERED = range(
    14
)
"""INT: little-endian two's complement, beyond 64 bits. STR: UTF-8 with lone surrogates. COMPLEX: two doubles.
SLICE, RANGE: start, stop, step. ENUM: module:qualname, member. NUMPY_SCALAR: dtype, bytes. TORCH: kind, name.
DICT, ORDERED: keys and values in turn; only inside the attributes of containers."""

MAX_DEPTH = 200
_MAX_ITEMS = 1 << 24
_ITSELF = (type(None), bool, float, bytes)


def pack(value: Any, *, dicts: bool = False) -> bytes:
    """`value` as bytes; RefusedError if it, or anything in it, is not plain. dicts: whether a dict counts as plain."""
    return msgspec.msgpack.encode(_Packer(dicts).lower(value, 0))


def unpack(data: bytes | bytearray | memoryview, *, without_torch: bool = False) -> Any:
    """Inverse of pack(); FormatError if malformed.

    without_torch: sizes come back as tuples, other torch values as text, so that nothing needs torch.
    """
    try:
        raw = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, RecursionError, TypeError, UnicodeDecodeError) as error:
        raise FormatError(f"malformed plain value: {error}") from error
    return _lift(raw, 0, without_torch)


class _Packer:
    """Python values -> what MessagePack has. One budget of items for the whole value: lists may share lists."""

    def __init__(self, dicts: bool) -> None:
        self.dicts = dicts
        self.left = _MAX_ITEMS

    def lower(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _ITSELF:
            return value
        if kind is int:
            return value if -(1 << 63) <= value < 1 << 64 else [INT, _int_bytes(value)]
        if kind is str:
            return value if value.isascii() else _text(value)
        if kind is list:
            return [LIST, *self.all(value, depth)]
        if kind is tuple:
            return [TUPLE, *self.all(value, depth)]
        if self.dicts and kind in (dict, OrderedDict):
            pairs = self.all([part for pair in value.items() for part in pair], depth)
            return [DICT if kind is dict else ORDERED, *pairs]
        return _lower_rare(value)

    def all(self, values: Any, depth: int) -> list[Any]:
        self.left -= len(values)
        if depth >= MAX_DEPTH or self.left < 0:
            raise RefusedError(f"nested deeper than {MAX_DEPTH} levels, or more than {_MAX_ITEMS} items")
        return [self.lower(value, depth + 1) for value in values]


def _lower_rare(value: Any) -> list[Any]:
    """The less common plain values."""
    kind = type(value)
    if kind is complex:
        return [COMPLEX, struct.pack("<dd", value.real, value.imag)]
    if kind is bytearray:
        return [BYTEARRAY, bytes(value)]
    if kind in (slice, range):
        bounds = (value.start, value.stop, value.step)
        if all(bound is None or (type(bound) is int and -(1 << 63) <= bound < 1 << 63) for bound in bounds):
            return [SLICE if kind is slice else RANGE, *bounds]
        raise RefusedError("slices and ranges are plain only with 64-bit ints as bounds")
    if isinstance(value, enum.Enum):
        return [ENUM, *_enum_name(value)]
    if isinstance(value, np.generic):
        return [NUMPY_SCALAR, *scalars.lower(value)]
    if isinstance(value, np.dtype):
        return [NUMPY_DTYPE, dtypes.describe(value)]
    if kind.__module__.partition(".")[0] == "torch" and "torch" in sys.modules:
        from ckstore.adapters.torch import plain as torch_plain

        if (lowered := torch_plain.lower(value)) is not None:
            return [TORCH, *lowered]
    raise RefusedError(f"{type_name(value)} is not a plain value{_advice(value)}")


def _advice(value: Any) -> str:
    if hasattr(type(value), "state_dict"):
        return "; save its .state_dict()"
    return "; save a list of its items" if isinstance(value, set | frozenset | deque) else ""


def _lift(raw: Any, depth: int, without_torch: bool) -> Any:
    """What MessagePack gave -> the value."""
    kind = type(raw)
    if kind in _ITSELF or kind in (int, str):
        return raw
    if kind is not list or not raw or type(raw[0]) is not int or depth > MAX_DEPTH:
        raise FormatError(f"malformed plain value: {raw!r:.100}")
    tag, parts = raw[0], raw[1:]
    if tag in (LIST, TUPLE, DICT, ORDERED):
        items = [_lift(part, depth + 1, without_torch) for part in parts]
        return items if tag == LIST else tuple(items) if tag == TUPLE else _dict(tag, items)
    try:
        return _torch(parts) if tag == TORCH and without_torch else _LIFTS[tag](*parts)
    except CkError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, struct.error) as error:
        raise FormatError(f"malformed plain value with tag {tag}: {error}") from error


def _int_bytes(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


def _text(value: str) -> Any:
    try:
        value.encode()
    except UnicodeEncodeError:
        return [STR, value.encode("utf-8", "surrogatepass")]
    return value


def _enum_name(member: enum.Enum) -> tuple[str, str]:
    cls = type(member)
    if not is_resolvable(cls):
        raise RefusedError("an Enum must be defined at the top level of an imported module, so that its name finds it")
    if cls.__members__.get(member.name) is not member:
        raise RefusedError("this Enum value has no name of its own")
    return name_of(cls), member.name


def _enum(name: str, member: str) -> enum.Enum:
    cls = resolve(name)
    if not (isinstance(cls, type) and issubclass(cls, enum.Enum)):
        raise UsageError(f"holds a member of the Enum {name!r:.200}: import its module first, in Python")
    if member not in cls.__members__:
        raise UsageError(f"holds {member!r:.100}, which the Enum {name!r:.200} no longer has")
    return cls.__members__[member]


def _dict(tag: int, items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise FormatError("malformed plain value: a key without a value")
    pairs = zip(items[::2], items[1::2], strict=True)
    try:
        return dict(pairs) if tag == DICT else OrderedDict(pairs)
    except TypeError as error:
        raise FormatError(f"malformed plain value: {error}") from error


def _torch(parts: list[Any]) -> Any:
    """A torch value where torch is not wanted."""
    kind, data = parts
    if isinstance(data, list):
        return tuple(data)
    return data if kind == "device" else f"torch.{data}"


def _torch_value(kind: Any, data: Any) -> Any:
    try:
        from ckstore.adapters.torch import plain as torch_plain
    except ImportError as error:
        raise UsageError("holds a torch value: install torch, or load with framework='numpy'") from error
    return torch_plain.lift(kind, data)


_LIFTS: dict[int, Callable[..., Any]] = {
    INT: lambda data: int.from_bytes(data, "little", signed=True),
    STR: lambda data: data.decode("utf-8", "surrogatepass"),
    COMPLEX: lambda data: complex(*struct.unpack("<dd", data)),
    BYTEARRAY: lambda data: bytearray(memoryview(data)),
    SLICE: lambda start, stop, step: slice(start, stop, step),
    RANGE: lambda start, stop, step: range(start, stop, step),
    ENUM: _enum,
    NUMPY_SCALAR: scalars.lift,
    NUMPY_DTYPE: dtypes.parse,
    TORCH: _torch_value,
}
