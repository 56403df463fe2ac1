"""Readers of checkpoint c0, object by object: with a pin, which is a lease, or by asking the newest root again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.search import Move
from tests.model.world import NONE, Entry, Names, World


class Mind(NamedTuple):
    """What a reader remembers."""

    at: str = "begin"
    epoch: int = 0
    entry: Entry | None = None
    left: Names = NONE


DONE = Mind("done")


class Reader:
    """Reads without a lease. Only what the newest root names may it miss never."""

    def __init__(self, name: str, removed: Names = NONE) -> None:
        self.name, self.removed = name, removed

    def first(self) -> Mind:
        """Before anything."""
        return Mind()

    def moves(self, world: World, mind: Mind) -> Iterator[Move]:
        """What it can do now."""
        if mind.at != "done":
            yield from getattr(self, f"_{mind.at}")(world, mind)

    def _begin(self, world: World, mind: Mind) -> Iterator[Move]:
        entry = world.root.entry("c0")
        if entry:
            yield "looks c0 up", world, Mind("read", entry=entry, left=entry.needs)
        else:
            yield "finds no c0", world, DONE

    def _read(self, world: World, mind: Mind) -> Iterator[Move]:
        name = min(mind.left)
        if name not in world.disk:
            yield from self._missing(world, mind, name)
        elif left := mind.left - {name}:
            yield f"reads {name}", world, mind._replace(left=left)
        else:
            yield f"reads {name}", *self._finished(world)

    def _finished(self, world: World) -> tuple[World, Mind]:
        return world, DONE

    def _missing(self, world: World, mind: Mind, name: str) -> Iterator[Move]:
        fresh = world.root.entry("c0")
        if fresh is None:
            yield "learns that c0 was deleted", world, DONE
        elif fresh == mind.entry or "ask again" in self.removed:
            yield f"misses {name}", world._replace(problem=f"a reader misses {name} of a checkpoint there is"), DONE
        else:
            yield "takes the new closure", world, Mind("read", entry=fresh, left=fresh.needs)


class Pinned(Reader):
    """Reads under a lease: beside a gc that waits for the living it misses nothing, whoever deletes c0."""

    def _begin(self, world: World, mind: Mind) -> Iterator[Move]:
        if "pin before root" in self.removed:
            entry = world.root.entry("c0")
            if entry:
                yield "looks c0 up", world, Mind("pin", world.root.number, entry, entry.needs)
        else:
            yield "takes its epoch", world, Mind("pin", world.root.number)

    def _pin(self, world: World, mind: Mind) -> Iterator[Move]:
        yield (
            "makes its lease",
            world.with_lease(self.name, mind.epoch),
            mind._replace(at="read" if mind.entry else "look"),
        )

    def _look(self, world: World, mind: Mind) -> Iterator[Move]:
        entry = world.root.entry("c0")
        if mind.epoch < world.root.floor:
            yield "takes another name", world.without_lease(self.name), Mind()
        elif entry:
            yield "looks c0 up", world, mind._replace(at="read", entry=entry, left=entry.needs)
        else:
            yield "finds no c0", *self._finished(world)

    def _finished(self, world: World) -> tuple[World, Mind]:
        return world.without_lease(self.name), DONE

    def _missing(self, world: World, mind: Mind, name: str) -> Iterator[Move]:
        # a condemnation that the reader could see when it began is one that the gc need not wait for it
        yield f"misses {name}", world._replace(problem=f"a pinned reader misses {name}"), DONE
