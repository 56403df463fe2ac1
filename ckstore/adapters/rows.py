"""Rows and their paths: what may be a key of a dict."""

from __future__ import annotations

from typing import Any, TypeAlias

from ckstore.adapters.refusal import RefusedError
from ckstore.errors import FormatError
from ckstore.format.manifest import KEY_TYPES, MAX_KEY_DEPTH
from ckstore.format.records import NodeRow, TensorRow, ValueRow
from ckstore.tensor import TensorView

SavedRow: TypeAlias = NodeRow | ValueRow | TensorView
"""A row of a state that is being saved."""
LoadedRow: TypeAlias = NodeRow | ValueRow | TensorRow
"""A row of a manifest."""


def check_key(key: Any, depth: int = 0) -> None:
    """Raise RefusedError unless `key` is a dict key that a path can hold exactly."""
    kind = type(key)
    if kind is tuple and depth < MAX_KEY_DEPTH:
        for part in key:
            check_key(part, depth + 1)
    elif kind is int and not -(1 << 63) <= key < 1 << 64:
        raise RefusedError("a dict key is an int of more than 64 bits")
    elif kind is float and key != key:
        raise RefusedError("a dict key is NaN, which can never be found again")
    elif kind is str and not is_text(key):
        raise RefusedError(f"the dict key {key!r} holds lone surrogates")
    elif kind not in KEY_TYPES:
        raise RefusedError(
            f"the dict key {key!r:.80} is of type {kind.__qualname__}; keys may be str, int, bool, None, float, bytes "
            "and tuples of these"
        )


def int_list(attrs: dict[str, Any], name: str, length: int) -> list[int] | None:
    """The attribute `name`, which must be `length` ints when it is there."""
    value = attrs.get(name)
    if value is None:
        return None
    if type(value) is list and len(value) == length and all(type(n) is int for n in value):
        return value
    raise FormatError(f"attribute {name!r} is not a list of {length} ints: {value!r:.200}")


def is_text(key: str) -> bool:
    """Whether a str is Unicode text, without lone surrogates."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
