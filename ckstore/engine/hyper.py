"""Hyper-parameters of an optimizer, read from the plain values of a state and of its parent.

The layout is that of torch: `param_groups` is a list of dicts, whose `params` number the parameters, and `state` holds
by these numbers what the optimizer knows of each. Anything else is no error: then there is nothing to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np

from ckstore.codec.hints import Update
from ckstore.engine.parent import Parent
from ckstore.format.records import NodeRow, TensorRow, ValueRow
from ckstore.tensor import Path, TensorView

_SMALL = 16


class Settings:
    """Plain values of a state and of its parent, by path."""

    def __init__(self, state: Sequence[NodeRow | ValueRow | TensorView], parent: Parent) -> None:
        self._now: dict[Path, bytes] = {row.path: row.data for row in state if isinstance(row, ValueRow)}
        self._before = {row.path: row.data for row, _ in parent.table if isinstance(row, ValueRow)}
        self._steps_now = {row.path: row for row in state if isinstance(row, TensorView) and _is_step(row.path)}
        self._steps_before = {
            row.path: row for row, _ in parent.table if isinstance(row, TensorRow) and _is_step(row.path)
        }
        self._groups: dict[Path, dict[Any, Path]] = {}

    def update(self, path: Path) -> Update | None:
        """How the parameter was updated whose moments lie in `path`: (…, "state", its number). None: not known."""
        if len(path) < 2 or path[-2] != "state":
            return None
        group = self._group_of(path[:-2]).get(path[-1])
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
            steps=None if step is None or before is None else step - before,
            step=step,
        )

    def _group_of(self, optimizer: Path) -> dict[Any, Path]:
        """The group of each parameter of an optimizer, by its number."""
        if optimizer not in self._groups:
            found: dict[Any, Path] = {}
            for path, data in self._now.items():
                if path[: len(optimizer) + 1] == (*optimizer, "param_groups") and path[-1] == "params":
                    members = _plain(data)
                    numbers = members[1:] if isinstance(members, list) else []
                    found.update((number, path[:-1]) for number in numbers if isinstance(number, int | str))
            self._groups[optimizer] = found
        return self._groups[optimizer]

    def _values(self, group: Path, name: str) -> list[Any]:
        """A value before and now; once if it did not change. Before comes first: a scheduler acts after the step."""
        both = (values.get((*group, name)) for values in (self._before, self._now))
        return [_plain(data) for data in dict.fromkeys(both) if data is not None]

    def _step(self, path: Path) -> tuple[int | None, int | None]:
        """(count of steps now, in the parent)."""
        key = (*path, "step")
        view, row = self._steps_now.get(key), self._steps_before.get(key)
        now = _count(view.dtype, view.read(0, view.nbytes)) if view is not None else _whole(self._now.get(key))
        before = _count(row.dtype, row.inline) if row is not None else _whole(self._before.get(key))
        return now, before


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
    return tuple(float(value) for value in values if type(value) in (int, float))


def _whole(data: bytes | None) -> int | None:
    value = None if data is None else _plain(data)
    return value if type(value) is int else None


def _count(dtype: str, data: bytes | memoryview | None) -> int | None:
    """A count of steps that is kept as a tensor of one element."""
    if data is None or dtype not in ("float32", "float64", "int64", "int32") or len(data) > _SMALL:
        return None
    value = np.frombuffer(data, np.dtype(dtype))
    return int(value[0]) if len(value) == 1 and np.isfinite(value[0]) else None
