"""Tensors that tell about each other: the weights of a model, their moments in an optimizer, and averages of them.

Found by the names that optimizers and trainers give them, and by shape. A wrong guess costs bytes, never truth: the
codec tries what is found here on a sample, and every frame is decoded again and compared before it is published.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import chain
from math import prod
from typing import NamedTuple

from ckstore.codec.hints import AVERAGE, MOMENTUM, VARIANCE, WEIGHT, Update
from ckstore.engine.hyper import Settings
from ckstore.tensor import Path, TensorView

_VARIANCE_OF = {"exp_avg": "exp_avg_sq", "mu": "nu", "m": "v", "momentum_buffer": ""}
"""Names of a first moment, and of the second moment beside it: torch, optax, textbooks, torch's SGD."""
_AVERAGES = frozenset({"ema", "ema_model", "model_ema", "ema_state_dict", "shadow", "swa", "swa_model", "averaged"})
_DERIVED = frozenset({*_VARIANCE_OF, *_VARIANCE_OF.values(), *_AVERAGES})
_FLOATS = frozenset({"float32", "bfloat16", "float16"})
_MOST_PARTS = 8
"""Parts of a state that are compared with an optimizer: the smallest that may hold its model."""
_WRAPPER = "module."
"""What AveragedModel and DataParallel put before every name."""


class Family(NamedTuple):
    """Tensors of one shape, as positions in the state's tensors. At least one of momentum and average is there."""

    weight: int | None
    momentum: int | None = None
    variance: int | None = None
    average: int | None = None
    update: Update | None = None

    def parts(self) -> list[tuple[str, int]]:
        """Its members in the order in which they are to be encoded: each may be predicted from those before it."""
        order = ((MOMENTUM, self.momentum), (VARIANCE, self.variance), (WEIGHT, self.weight), (AVERAGE, self.average))
        return [(part, number) for part, number in order if number is not None]


def columns(view: TensorView) -> int:
    """Elements of a row, where a tensor is a matrix: one row for each output of a layer, whatever lies behind it."""
    return prod(view.shape[1:]) if len(view.shape) > 1 else 0


def find(views: Sequence[TensorView], settings: Settings) -> list[Family]:
    """The families of a state; no tensor is in two of them. settings: hyper-parameters, now and in the parent."""
    moments = {}
    for number, view in enumerate(views):
        at = _last(view.path, _VARIANCE_OF)
        if at is not None and view.dtype in _FLOATS:
            moments[number] = at
    of_path = {view.path: number for number, view in enumerate(views)}
    plain = [n for n, view in enumerate(views) if view.dtype in _FLOATS and not _is_derived(view.path)]
    weight_of, average_of = _weights(views, moments, plain), _averages(views, plain)
    free, found = set(range(len(views))), list[Family]()

    def take(number: int | None) -> int | None:
        """This tensor, if it is in no family yet."""
        if number not in free:
            return None
        free.remove(number)
        return number

    for momentum, at in moments.items():
        if take(momentum) is not None:
            variance, weight = take(_beside(views, of_path, momentum, at)), take(weight_of.get(momentum))
            average = None if weight is None else take(average_of.get(weight))
            found.append(Family(weight, momentum, variance, average, settings.update(views[momentum].path[:at])))
    for weight, average in average_of.items():
        if weight in free and average in free and weight != average:
            found.append(Family(take(weight), average=take(average)))
    return found


def _last(path: Path, names: Container[str]) -> int | None:
    """Where the last key is that is one of these names."""
    return next((i for i in reversed(range(len(path))) if isinstance(path[i], str) and path[i] in names), None)


def _is_derived(path: Path) -> bool:
    return _last(_unwrapped(path), _DERIVED) is not None


def _beside(views: Sequence[TensorView], of_path: dict[Path, int], momentum: int, at: int) -> int | None:
    path = views[momentum].path
    number = of_path.get((*path[:at], _VARIANCE_OF[path[at]], *path[at + 1 :]))
    same = number is not None and views[number].shape == views[momentum].shape and views[number].dtype in _FLOATS
    return number if same else None


def _weights(views: Sequence[TensorView], moments: dict[int, int], plain: Sequence[int]) -> dict[int, int]:
    """The weight that each first moment belongs to, each weight once."""
    found: dict[int, int] = {}
    taken: set[int] = set()
    numbered: dict[Path, list[int]] = {}
    ends = _Ends(views, plain)
    for momentum, at in moments.items():
        path = views[momentum].path
        name = path[at + 1 :] or path[at - 1 : at]
        if len(name) == 1 and isinstance(name[0], int):
            numbered.setdefault(path[: at - 1], []).append(momentum)
        else:
            weight = ends.find(name, views[momentum])
            if weight is not None and weight not in taken:
                found[momentum] = weight
                taken.add(weight)
    optimizers = list(numbered.values())
    if len(optimizers) > _MOST_PARTS:  # one for each parameter, say
        optimizers = [list(chain.from_iterable(optimizers))]
    for members in optimizers:
        match = _in_order(views, members, [number for number in plain if number not in taken])
        found.update(match)
        taken.update(match.values())
    return found


class _Ends:
    """Tensors by how their paths end, and by shape."""

    def __init__(self, views: Sequence[TensorView], numbers: Iterable[int]) -> None:
        self._views = views
        self._numbers: dict[tuple[Path, tuple[int, ...]], list[int]] = {}
        for number in numbers:
            path, shape = _unwrapped(views[number].path), views[number].shape
            for start in range(len(path)):
                self._numbers.setdefault((path[start:], shape), []).append(number)

    def find(self, end: Path, like: TensorView) -> int | None:
        """The one whose path ends so and whose shape is the same; with the same dtype if the first has another."""
        same = self._numbers.get((_unwrapped(end), like.shape), [])[:_MOST_PARTS]
        return next((n for n in same if self._views[n].dtype == like.dtype), same[0] if same else None)


def _unwrapped(path: Path) -> Path:
    return tuple(key.removeprefix(_WRAPPER) if isinstance(key, str) else key for key in path)


def _in_order(views: Sequence[TensorView], members: Sequence[int], plain: Sequence[int]) -> dict[int, int]:
    """Weights of moments that are numbered: a part of the state that has the same shapes in the same order.

    torch numbers the parameters of an optimizer as it was given them, as a rule in the order of the model; the model
    has buffers besides. Of several such parts the one with the dtype of the moments is taken: masters, not copies.
    """
    parts: dict[Path, list[int]] = {}
    for number in plain:
        for length in range(len(views[number].path)):
            parts.setdefault(views[number].path[:length], []).append(number)
    large = sorted((numbers for numbers in parts.values() if len(numbers) >= len(members)), key=len)
    matches = [match for numbers in large[:_MOST_PARTS] if (match := _subsequence(views, members, numbers))]
    matches = matches or [_by_shape(views, members, numbers) for numbers in large[-_MOST_PARTS:]]
    return max(matches, key=lambda match: _rank(views, match), default={})


def _rank(views: Sequence[TensorView], match: dict[int, int]) -> tuple[int, int]:
    return len(match), sum(views[one].dtype == views[other].dtype for one, other in match.items())


def _subsequence(views: Sequence[TensorView], members: Sequence[int], numbers: Sequence[int]) -> dict[int, int]:
    match: dict[int, int] = {}
    rest = iter(numbers)
    for member in members:
        number = next((n for n in rest if views[n].shape == views[member].shape), None)
        if number is None:
            return {}
        match[member] = number
    return match


def _by_shape(views: Sequence[TensorView], members: Sequence[int], numbers: Sequence[int]) -> dict[int, int]:
    """For groups of parameters (with and without decay, say): the order within each shape, where the counts agree."""
    mine, theirs = _shapes(views, members), _shapes(views, numbers)
    match: dict[int, int] = {}
    for shape, some in mine.items():
        if len(some) == len(theirs.get(shape, ())):
            match.update(zip(some, theirs[shape], strict=True))
    return match


def _shapes(views: Sequence[TensorView], numbers: Iterable[int]) -> dict[tuple[int, ...], list[int]]:
    found: dict[tuple[int, ...], list[int]] = {}
    for number in numbers:
        found.setdefault(views[number].shape, []).append(number)
    return found


def _averages(views: Sequence[TensorView], plain: Sequence[int]) -> dict[int, int]:
    """The average of each weight that has one, by the weight."""
    ends, found = _Ends(views, plain), dict[int, int]()
    for number, at in _named(views):
        weight = ends.find(views[number].path[at + 1 :], views[number])
        if weight is not None:
            found.setdefault(weight, number)
    return found


def _named(views: Sequence[TensorView]) -> Iterator[tuple[int, int]]:
    for number, view in enumerate(views):
        at = _last(view.path, _AVERAGES)
        if at is not None and view.dtype in _FLOATS and at + 1 < len(view.path):
            yield number, at
