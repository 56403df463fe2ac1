"""What a caller says of a checkpoint: run, step, tags, metrics, meta. Checked once, before anything is written.

INVARIANT: what passes here comes back from the catalog with the types and values it has now.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from ckstore.errors import UsageError
from ckstore.format.limits import MAX_NOTES_BYTES

MAX_BYTES = MAX_NOTES_BYTES
"""Metrics, tags and meta of one checkpoint, encoded: they lie in every root while the checkpoint is new."""
MAX_DEPTH = 32

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_HEX = re.compile(r"[0-9a-f]+")
_ITSELF = (type(None), bool, float, str, bytes)
_HINTS: dict[type, str] = {tuple: "make it a list", set: "make it a list", frozenset: "make it a list"}


@dataclass(frozen=True, slots=True)
class Intent:
    """What is to be known of a new checkpoint, and how it is to be encoded.

    step: None = one after the run's last. parent: "auto", None or a ref.
    """

    run: str
    step: int | None
    metrics: dict[str, float]
    tags: list[str]
    meta: dict[str, Any]
    parent: str | None
    weights_alone: bool = False
    """Whether weights are never predicted from moments, so that loading them reads nothing of an optimizer."""


def intent(run: Any, step: Any, metrics: Any, tags: Any, meta: Any, parent: Any) -> Intent:
    """All of it checked, with types of Python alone; UsageError names what cannot be kept."""
    check_name("run", run)
    if parent is not None and (not isinstance(parent, str) or not parent):
        raise UsageError(f'parent is "auto", None, a reference or a Checkpoint, not {parent!r:.200}')
    checked = Intent(run, _step(step), checked_metrics(metrics), _tags(tags), checked_meta(meta), parent)
    check_size(checked.metrics, checked.tags, checked.meta)
    return checked


def check_name(what: str, name: Any) -> None:
    """Raise UsageError unless `name` may name a run or be a tag."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(f"bad {what} {name!r:.200}: use 1-128 letters, digits and ._/-, the first a letter or digit")


def check_tag(tag: Any) -> None:
    """Raise UsageError unless `tag` may name a checkpoint."""
    check_name("tag", tag)
    if tag == "latest" or _HEX.fullmatch(tag):
        raise UsageError(f"bad tag {tag!r}: it would read as a reference of another kind")


def check_size(metrics: dict[str, float], tags: list[str], meta: dict[str, Any] | msgspec.Raw) -> None:
    """Raise UsageError if they are too much for the catalog."""
    size = len(msgspec.msgpack.encode([metrics, tags, meta]))
    if size > MAX_BYTES:
        raise UsageError(f"metrics, tags and meta take {size} of at most {MAX_BYTES} bytes: save them as state")


def checked_metrics(metrics: Any) -> dict[str, float]:
    """Metrics as floats: 0-d tensors and NumPy scalars are taken by value."""
    if not isinstance(metrics, Mapping | None):
        raise UsageError(f"metrics are numbers by name, not {_a(metrics)}")
    return {_key(name, "metrics"): _number(f"metrics[{name!r}]", value) for name, value in (metrics or {}).items()}


def checked_meta(meta: Any) -> dict[str, Any]:
    """Meta as plain values: a copy, in which NumPy scalars are the Python values they hold."""
    if not isinstance(meta, Mapping | None):
        raise UsageError(f"meta is a dict of plain values, not {_a(meta)}")
    plain: dict[str, Any] = _Notes().plain("meta", dict(meta or {}), 0)
    return plain


def _step(step: Any) -> int | None:
    if step is None:
        return None
    try:
        number = operator.index(step)
    except TypeError as error:
        raise UsageError(f"step must be an integer, not {_a(step)}") from error
    if isinstance(step, bool | np.bool_) or not -(1 << 63) <= number < 1 << 63:
        raise UsageError(f"step must be an integer of 64 bits, not {step!r:.200}")
    return number


def _tags(tags: Any) -> list[str]:
    if isinstance(tags, str | bytes) or not isinstance(tags, Iterable):
        raise UsageError(f"tags is a list of names, not {_a(tags)}")
    found = list(tags)
    for tag in found:
        check_tag(tag)
    return list(dict.fromkeys(found))


def _number(where: str, value: Any) -> float:
    try:
        if isinstance(value, str | bytes | bytearray):
            raise TypeError("it is no number")
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:  # RuntimeError: torch tensors without a value
        raise UsageError(f"{where} is {_a(value)}, metrics are numbers by name: {error}") from error


class _Notes:
    """Plain values of meta. One budget for the whole of it: lists may share lists."""

    def __init__(self) -> None:
        self.left = MAX_BYTES

    def plain(self, where: str, value: Any, depth: int) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        kind = type(value)
        self.left -= 1
        if depth > MAX_DEPTH or self.left < 0:
            raise UsageError(f"{where:.200} is nested deeper than {MAX_DEPTH} levels or is too large: save it as state")
        if kind is dict:
            return {_key(key, where): self.plain(f"{where}[{key!r}]", part, depth + 1) for key, part in value.items()}
        if kind is list:
            return [self.plain(f"{where}[{i}]", part, depth + 1) for i, part in enumerate(value)]
        if kind is str:
            return _text(value, where)
        if kind in _ITSELF or (kind is int and -(1 << 63) <= value < 1 << 64):
            return value
        raise UsageError(
            f"{where:.200} is {_a(value)}; meta holds None, bool, int of 64 bits, float, str, bytes, and lists and "
            f"dicts of these: {_HINTS.get(kind, 'make it one of them, or save it as state')}"
        )


def _key(key: Any, where: str) -> str:
    if type(key) is not str:
        raise UsageError(f"{where:.200} has the key {key!r:.200}, which is {_a(key)}: keys must be str")
    return _text(key, where)


def _text(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{where:.200}: the text {text!r:.200} holds lone surrogates: it is not Unicode") from error
    return text


def _a(value: Any) -> str:
    name = type(value).__qualname__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
