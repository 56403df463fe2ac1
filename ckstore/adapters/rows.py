"""Rows and their paths: what may be a key of a dict, and how keys come back from MessagePack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from ckstore.adapters.refusal import RefusedError
from ckstore.errors import FormatError
from ckstore.format.records import NodeRow, TensorRow, ValueRow
from ckstore.tensor import Path, TensorView, item_bytes

SavedRow: TypeAlias = NodeRow | ValueRow | TensorView
"""A row of a state that is being saved."""
LoadedRow: TypeAlias = NodeRow | ValueRow | TensorRow
"""A row of a manifest."""

MAX_DEPTH = 200
"""Deepest path of a state. A state that contains itself would be deeper than any limit."""
_MAX_KEY_DEPTH = 8
_KEY_TYPES = frozenset((str, int, bool, type(None), float, bytes))


def path_of(row: SavedRow | LoadedRow) -> Path:
    """The typed path of a row. MessagePack has no tuples: an array inside a path was a tuple."""
    return tuple(_thaw(key, 0) for key in row.path)


def check_key(key: Any, depth: int = 0) -> None:
    """Raise RefusedError unless `key` is a dict key that a path can hold exactly."""
    kind = type(key)
    if kind is tuple and depth < _MAX_KEY_DEPTH:
        for part in key:
            check_key(part, depth + 1)
    elif kind is int and not -(1 << 63) <= key < 1 << 64:
        raise RefusedError("a dict key is an int of more than 64 bits")
    elif kind is float and key != key:
        raise RefusedError("a dict key is NaN, which can never be found again")
    elif kind is str and not _is_text(key):
        raise RefusedError(f"the dict key {key!r} holds lone surrogates")
    elif kind not in _KEY_TYPES:
        raise RefusedError(
            f"the dict key {key!r:.80} is of type {kind.__qualname__}; keys may be str, int, bool, None, float, bytes "
            "and tuples of these"
        )


def check_tensor(row: TensorRow, path: Path) -> None:
    """Raise FormatError unless dtype, shape and inline bytes of a tensor row make sense together."""
    try:
        size = item_bytes(row.dtype)
    except (KeyError, ValueError) as error:
        raise FormatError(f"row {path!r}: unknown dtype {row.dtype!r}") from error
    if len(row.shape) > 64 or any(n < 0 for n in row.shape):
        raise FormatError(f"row {path!r}: impossible shape {row.shape!r:.200}")
    if row.inline is not None and len(row.inline) != _product(row.shape) * size:
        raise FormatError(f"row {path!r}: {len(row.inline)} inline bytes for shape {row.shape} of {row.dtype}")


def int_list(attrs: dict[str, Any], name: str, length: int) -> list[int] | None:
    """The attribute `name`, which must be `length` ints when it is there."""
    value = attrs.get(name)
    if value is None:
        return None
    if type(value) is list and len(value) == length and all(type(n) is int for n in value):
        return value
    raise FormatError(f"attribute {name!r} is not a list of {length} ints: {value!r:.200}")


def _thaw(key: Any, depth: int) -> Any:
    if type(key) not in (list, tuple):
        if type(key) not in _KEY_TYPES:
            raise FormatError(f"a path holds a key of type {type(key).__qualname__}")
        return key
    if depth >= _MAX_KEY_DEPTH:
        raise FormatError("a key in a path is nested too deeply")
    return tuple(_thaw(part, depth + 1) for part in key)


def _is_text(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _product(shape: Sequence[int]) -> int:
    total = 1
    for n in shape:
        total *= n
    return total
