"""Where live tensors lie in memory, and which of them share it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

_MAX_WORK = 100_000
"""Steps that an exact overlap test may take; beyond, two interleaved views count as sharing."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The elements of one live tensor: strides in bytes, address of the first element.

    space: addresses compare within it only. identity: what else must agree for two names to be one object.
    """

    space: str
    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    item_bytes: int
    identity: Hashable

    @property
    def n_bytes(self) -> int:
        """Logical size."""
        return prod(self.shape) * self.item_bytes

    @property
    def low(self) -> int:
        """Address of the lowest byte."""
        return self.address + sum(min(0, (n - 1) * step) for n, step in zip(self.shape, self.strides, strict=True))

    @property
    def high(self) -> int:
        """Address after the highest byte."""
        above = sum(max(0, (n - 1) * step) for n, step in zip(self.shape, self.strides, strict=True))
        return self.address + above + self.item_bytes

    @property
    def key(self) -> Hashable:
        """Equal keys: one and the same tensor."""
        return self.space, self.address, self.shape, self.strides, self.identity


def same(memories: Sequence[Memory | None]) -> list[list[int]]:
    """Positions that hold one and the same tensor, two or more each, in order of first appearance."""
    found: dict[Hashable, list[int]] = {}
    for position, memory in enumerate(memories):
        if memory is not None:
            found.setdefault(memory.key, []).append(position)
    return [positions for positions in found.values() if len(positions) > 1]


def overlapping(memories: Sequence[Memory | None]) -> list[list[int]]:
    """Groups of positions connected by shared bytes, two or more distinct tensors each; twins appear by the first."""
    firsts: dict[Hashable, int] = {}
    for position, memory in enumerate(memories):
        if memory is not None and memory.n_bytes:
            firsts.setdefault(memory.key, position)
    leader = {position: position for position in firsts.values()}
    for a, b in _sharing_pairs([(memory, position) for position in leader if (memory := memories[position])]):
        first, second = sorted((_find(leader, a), _find(leader, b)))
        leader[second] = first
    groups: dict[int, list[int]] = {}
    for position in leader:
        groups.setdefault(_find(leader, position), []).append(position)
    return [group for group in groups.values() if len(group) > 1]


def _sharing_pairs(members: list[tuple[Memory, int]]) -> Iterator[tuple[int, int]]:
    """Sweep over addresses; only members whose extents cross the current one are compared."""
    active: list[tuple[Memory, int]] = []
    for memory, position in sorted(members, key=lambda member: (member[0].space, member[0].low)):
        active = [(other, at) for other, at in active if other.space == memory.space and other.high > memory.low]
        for other, at in active:
            if _share(other, memory):
                yield at, position
        active.append((memory, position))


def _share(a: Memory, b: Memory) -> bool:
    """Whether two tensors whose extents cross have a byte in common."""
    if a.n_bytes >= a.high - a.low and b.n_bytes >= b.high - b.low:
        return True
    try:
        return np.shares_memory(np.asarray(_Outline(a)), np.asarray(_Outline(b)), max_work=_MAX_WORK)  # type: ignore[arg-type]  # the stubs allow the named values only
    except np.exceptions.TooHardError:
        return True


class _Outline:
    """An array that stands at an address without ever being read, so memory of any device can be reasoned about."""

    def __init__(self, memory: Memory) -> None:
        self.__array_interface__ = {
            "version": 3,
            "typestr": f"|V{memory.item_bytes}",
            "shape": memory.shape,
            "strides": memory.strides,
            "data": (memory.address, True),
        }


def _find(leader: dict[int, int], position: int) -> int:
    while leader[position] != position:
        leader[position] = leader[leader[position]]
        position = leader[position]
    return position
