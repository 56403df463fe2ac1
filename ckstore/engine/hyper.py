"""Hyper-parameters of an optimizer, read from the plain values of a state and of its parent.

The layout is that of torch: `param_groups` is a list of dicts, whose `params` number the parameters, and `state` holds
by these numbers what the optimizer knows of each. Anything else is no error: then there is nothing to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

import msgspec
import numpy as np

from ckstore.codec.hints import Update
from ckstore.engine.parent import Parent
from ckstore.format.records import NodeRow, TensorRow, ValueRow
from ckstore.tensor import Path, TensorView

_COUNTS = frozenset({"float32", "float64", "int64", "int32"})
_MOST_STEPS = 1 << 53
_LARGEST = float(np.finfo(np.float32).max)


class Settings:
    """Plain values of a state and of its parent, by path."""

    def __init__(self, state: Sequence[NodeRow | ValueRow | TensorView], parent: Parent) -> None:
        self._now: dict[Path, bytes] = {row.path: row.data for row in state if isinstance(row, ValueRow)}
        self._before = {row.path: row.data for row, _ in parent.table if isinstance(row, ValueRow)}
        self._steps_now = {row.path: row for row in state if isinstance(row, TensorView) and _is_step(row.path)}
        self._steps_before = {
            row.path: row for row, _ in parent.table if isinstance(row, TensorRow) and _is_step(row.path)
        }
        self._groups = _groups(self._now)

    def update(self, path: Path) -> Update | None:
        """How the parameter was updated whose moments lie in `path`: (…, "state", its number). None: not known."""
        if len(path) < 2 or path[-2] != "state":
            return None
        group = self._groups.get(path[:-2], {}).get(path[-1])
        if group is None:
            return None
        step, before = self._step(path)
        betas = self._values(group, "betas")
        return Update(
            lr=_numbers(self._values(group, "lr")),
            beta1=_numbers([*_items(betas, 0), *self._values(group, "momentum")]),
            beta2=_numbers(_items(betas, 1)),
            eps=_numbers(self._values(group, "eps")),
            weight_decay=_numbers(self._values(group, "weight_decay")),
            decoupled=self._values(group, "decoupled_weight_decay") != [False],
            nesterov=True in self._values(group, "nesterov"),
            dampening=next(iter(_numbers(self._values(group, "dampening"))), 0.0),
            steps=None if step is None or before is None or step <= before else step - before,
            step=step,
        )

    def _values(self, group: Path, name: str) -> list[Any]:
        """A value before and now; once if it did not change. Before comes first: a scheduler acts after the step."""
        both = (values.get((*group, name)) for values in (self._before, self._now))
        return [_plain(data) for data in dict.fromkeys(both) if data is not None]

    def _step(self, path: Path) -> tuple[int | None, int | None]:
        """(count of steps now, in the parent)."""
        key = (*path, "step")
        row = self._steps_before.get(key)
        now = _count(self._steps_now.get(key)) or _whole(self._now.get(key))
        before = _whole(self._before.get(key))
        if row is not None and row.dtype in _COUNTS and row.inline and prod(row.shape) == 1:
            before = _one(row.dtype, row.inline)
        return now, before


def _groups(values: Mapping[Path, bytes]) -> dict[Path, dict[Any, Path]]:
    """Of each optimizer, the group of every parameter by its number."""
    found: dict[Path, dict[Any, Path]] = {}
    for path, data in values.items():
        if len(path) > 2 and (path[-1], path[-3]) == ("params", "param_groups"):
            members = _plain(data)
            numbers = members[1:] if isinstance(members, list) else []
            known = found.setdefault(path[:-3], {})
            known.update((number, path[:-1]) for number in numbers if isinstance(number, int | str))
    return found


def _is_step(path: Path) -> bool:
    return len(path) > 0 and path[-1] == "step"


def _plain(data: bytes) -> Any:
    """A plain value as FORMAT.md has it: scalars as they are, sequences as a list behind their tag."""
    try:
        return msgspec.msgpack.decode(data)
    except msgspec.DecodeError:
        return None


def _items(values: Iterable[Any], at: int) -> list[Any]:
    """Of each tuple its item number `at`."""
    return [value[at + 1] for value in values if isinstance(value, list) and len(value) > at + 1]


def _numbers(values: Iterable[Any]) -> tuple[float, ...]:
    """Those that are finite numbers of a size that binary32 has."""
    found = (value for value in values if type(value) in (int, float) and abs(value) <= _LARGEST)
    return tuple(map(float, found))


def _whole(data: bytes | None) -> int | None:
    value = None if data is None else _plain(data)
    return value if type(value) is int and 0 < value <= _MOST_STEPS else None


def _count(view: TensorView | None) -> int | None:
    """A count of steps that is kept as a tensor of one element."""
    if view is None or view.dtype not in _COUNTS or prod(view.shape) != 1:
        return None
    return _one(view.dtype, view.read(0, view.nbytes))


def _one(dtype: str, data: bytes | memoryview) -> int | None:
    value = float(np.frombuffer(data, np.dtype(dtype))[0])
    return int(value) if 0 < value <= _MOST_STEPS else None
