"""Things told apart by number, so that lists of them take little room: most checkpoints need the same frames."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.uint32]
_T = TypeVar("_T", bound=Hashable)


class Numbered(Generic[_T]):
    """Every item once, in the order in which they came."""

    def __init__(self) -> None:
        self.items: list[_T] = []
        self._number: dict[_T, int] = {}

    def of(self, items: Iterable[_T]) -> Numbers:
        """The numbers of these items; new ones get the next."""
        return np.array([self._of(item) for item in items], np.uint32)

    def _of(self, item: _T) -> int:
        number = self._number.setdefault(item, len(self.items))
        if number == len(self.items):
            self.items.append(item)
        return number

    def at(self, numbers: Numbers) -> list[_T]:
        """The items of these numbers."""
        return [self.items[number] for number in numbers.tolist()]
