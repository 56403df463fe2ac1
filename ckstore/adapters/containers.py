"""Dicts, lists, tuples and their named relatives <-> node rows. Children come back through the row order."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from ckstore.adapters import plain
from ckstore.adapters.refusal import RefusedError
from ckstore.adapters.resolve import is_resolvable, name_of, resolve
from ckstore.adapters.rows import check_key
from ckstore.errors import FormatError, UsageError

Node: TypeAlias = tuple[str, dict[str, Any], Iterable[tuple[Any, Any]]]
"""Kind, attributes, and children by key."""

_PLAIN_MAPPINGS: dict[str, type[dict[Any, Any]]] = {"dict": dict, "OrderedDict": OrderedDict, "Counter": Counter}
MAPPINGS = frozenset((*_PLAIN_MAPPINGS, "defaultdict"))
_FACTORIES: dict[Any, Any] = {
    "": None, "bool": bool, "bytes": bytes, "dict": dict, "float": float, "int": int, "list": list,
    "OrderedDict": OrderedDict, "set": set, "str": str, "tuple": tuple,
}  # fmt: skip
_MAX_HOLES = 1 << 24


def take_apart(value: Any) -> Node | None:
    """The node of a container; None if `value` is none, RefusedError if it could not come back as it is."""
    kind = type(value)
    if kind in (dict, OrderedDict, defaultdict, Counter):  # schedulers of torch hold a Counter
        for key in value:
            check_key(key)
        return kind.__name__, _mapping_attrs(value), value.items()
    if kind in (list, tuple):
        return kind.__name__, {"n": len(value)}, enumerate(value)
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return "namedtuple", _namedtuple_attrs(value), enumerate(value)
    return None


def put_together(kind: str, attrs: dict[str, Any], children: Sequence[tuple[Any, Any]], partial: bool) -> Any:
    """Inverse of take_apart(). partial: missing positions of a sequence become None."""
    if kind in MAPPINGS:
        return _mapping(kind, attrs, children)
    items = _items(attrs, children, partial)
    if kind == "namedtuple":
        return tuple.__new__(named_type(attrs), items)
    return items if kind == "list" else tuple(items)


def refill(container: Any, children: Sequence[tuple[Any, Any]]) -> Any:
    """`container` with `children` in it: itself where it can change, a new one if it is a tuple that has to."""
    changed = [(key, child) for key, child in children if container[key] is not child]
    if not isinstance(container, tuple):
        for key, child in changed:
            container[key] = child
        return container
    items = list(container)
    for key, child in changed:
        items[key] = child
    return tuple.__new__(type(container), items) if changed else container


def named_type(attrs: dict[str, Any]) -> type[tuple[Any, ...]]:
    """The class of a namedtuple row, from what is imported already."""
    name, fields = attrs.get("class"), attrs.get("fields")
    if not isinstance(name, str) or not isinstance(fields, list):
        raise FormatError("malformed namedtuple row")
    cls = resolve(name)
    if not (isinstance(cls, type) and issubclass(cls, tuple)):
        raise UsageError(f"the namedtuple {name!r:.200} is not imported: import its module first, in Python")
    if list(vars(cls).get("_fields", ())) != fields or len(fields) != attrs.get("n"):
        raise UsageError(f"the namedtuple {name!r:.200} has other fields than when it was saved: {fields!r:.200}")
    return cls


def _mapping_attrs(value: dict[Any, Any]) -> dict[str, Any]:
    if isinstance(value, defaultdict):
        name = next((name for name, factory in _FACTORIES.items() if factory is value.default_factory), None)
        if name is None:
            raise RefusedError(f"its default factory {value.default_factory!r:.100} is not one of {_factory_names()}")
        return {"factory": name}
    extra = getattr(value, "__dict__", None)
    if not extra:
        return {}
    if set(extra) != {"_metadata"} or type(value) is not OrderedDict:
        raise RefusedError(f"its attributes {sorted(extra)!r:.200} would be lost")
    try:
        return {"metadata": plain.pack(extra["_metadata"], dicts=True)}
    except RefusedError as error:
        raise RefusedError(f"its _metadata cannot be stored: {error.reason}") from error


def _mapping(kind: str, attrs: dict[str, Any], children: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    if kind in _PLAIN_MAPPINGS:
        found = _PLAIN_MAPPINGS[kind]()
    else:
        name = attrs.get("factory")
        if not isinstance(name, str) or name not in _FACTORIES:
            raise FormatError(f"unknown default factory {name!r:.100}")
        found = defaultdict(_FACTORIES[name])
    for key, child in children:  # not update(): a Counter would count them
        found[key] = child
    if "metadata" in attrs and kind == "OrderedDict":
        vars(found)["_metadata"] = plain.unpack(attrs["metadata"])
    if len(found) != len(children):
        raise FormatError("two rows have one path")
    return found


def _namedtuple_attrs(value: tuple[Any, ...]) -> dict[str, Any]:
    cls = type(value)
    fields = list(vars(cls).get("_fields", ()))
    if not is_resolvable(cls):
        raise RefusedError("a namedtuple must be defined at the top level of an imported module, so its name finds it")
    if len(fields) != len(value) or getattr(value, "__dict__", None):
        raise RefusedError("a subclass of a namedtuple would lose what it adds")
    return {"n": len(value), "class": name_of(cls), "fields": fields}


def _items(attrs: dict[str, Any], children: Sequence[tuple[Any, Any]], partial: bool) -> list[Any]:
    n = attrs.get("n")
    keys = [key for key, _ in children]
    if type(n) is not int or not all(type(key) is int and 0 <= key < n for key in keys) or len(set(keys)) != len(keys):
        raise FormatError(f"malformed row of {n!r:.30} positions")
    if len(keys) != n and not partial:
        raise FormatError(f"{len(keys)} rows for {n} positions")
    if n > len(keys) + _MAX_HOLES:
        raise FormatError(f"a sequence of {n} positions")
    items: list[Any] = [None] * n
    for key, child in children:
        items[key] = child
    return items


def _factory_names() -> str:
    return ", ".join(name or "None" for name in _FACTORIES)
