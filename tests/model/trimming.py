"""Root files by number: commits that stall, a trimmer that removes old roots, and the power that fails.

A name in root/ is certain once somebody synced the directory. Removing is taken to be certain at once: the worst case.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from tests.model.search import Move

Removed = frozenset[str]


class Root(NamedTuple):
    """A root file."""

    number: int
    entries: tuple[str, ...] = ()
    trimmed_to: int = 0


class World(NamedTuple):
    """root/ and what was promised."""

    files: frozenset[Root] = frozenset({Root(1)})
    certain: frozenset[Root] = frozenset({Root(1)})
    acknowledged: frozenset[str] = frozenset()
    is_off: bool = False

    @property
    def newest(self) -> Root:
        """The root that everybody reads."""
        return max(self.files, default=Root(0))

    def publish(self, root: Root) -> World | None:
        """Create-exclusive by number."""
        taken = any(root.number == other.number for other in self.files)
        return None if taken else self._replace(files=self.files | {root})

    def synced(self) -> World:
        """All names are certain."""
        return self._replace(certain=self.files)

    def without(self, gone: set[Root]) -> World:
        """Files are removed."""
        return self._replace(files=self.files - gone, certain=self.certain - gone)


def broken(world: World) -> str:
    """What is wrong, or nothing."""
    entries = world.newest.entries
    if len(set(entries)) < len(entries):
        return "a checkpoint was committed twice"
    lost = world.acknowledged - set(entries)
    return f"acknowledged checkpoint {', '.join(sorted(lost))} is lost" if lost else ""


class Mind(NamedTuple):
    """What an actor remembers."""

    at: str = "read"
    todo: tuple[str, ...] = ()
    next: Root | None = None


class _Actor:
    """Stops when the power has failed; may crash anywhere."""

    name = ""

    def moves(self, world: World, mind: Mind) -> Iterator[Move]:
        """What it can do now."""
        if not world.is_off and mind.at != "done":
            yield from getattr(self, f"_{mind.at}")(world, mind)
            if mind.at != "read":
                yield "crashes", world, Mind("done")


class Committer(_Actor):
    """Commits some checkpoints, one after another."""

    def __init__(self, name: str, checkpoints: tuple[str, ...], removed: Removed = frozenset()) -> None:
        self.name, self.checkpoints, self.removed = name, checkpoints, removed

    def first(self) -> Mind:
        """Before anything."""
        return Mind(todo=self.checkpoints)

    def _read(self, world: World, mind: Mind) -> Iterator[Move]:
        base = world.newest
        root = Root(base.number + 1, (*base.entries, mind.todo[0]), base.trimmed_to)
        yield f"reads root {base.number}", world, mind._replace(at="publish", next=root)

    def _publish(self, world: World, mind: Mind) -> Iterator[Move]:
        assert mind.next is not None
        published = world.publish(mind.next)
        if published is None:
            yield f"finds number {mind.next.number} taken", world, mind._replace(at="read", next=None)
        elif "sync before answer" in self.removed:
            yield f"publishes root {mind.next.number}", published, mind._replace(at="check")
        else:
            yield f"publishes root {mind.next.number}", published, mind._replace(at="sync")

    def _sync(self, world: World, mind: Mind) -> Iterator[Move]:
        yield "syncs root/", world.synced(), mind._replace(at="check")

    def _check(self, world: World, mind: Mind) -> Iterator[Move]:
        assert mind.next is not None
        newest, name = world.newest, mind.todo[0]
        forgotten = newest.trimmed_to >= mind.next.number and "trimmed_to after create" not in self.removed
        if forgotten and ("is it in" in self.removed or name not in newest.entries):
            yield "learns that its root was trimmed", world, mind._replace(at="read", next=None)
            return
        told = world._replace(acknowledged=world.acknowledged | {name})
        left = mind.todo[1:]
        yield f"returns {name}", told, Mind("read", left) if left else Mind("done")


class Trimmer(_Actor):
    """Publishes how far roots may go, makes that certain, and removes them one by one."""

    def __init__(self, name: str, removed: Removed = frozenset(), times: int = 2) -> None:
        self.name, self.removed, self.times = name, removed, times

    def first(self) -> Mind:
        """Before anything."""
        return Mind(todo=("trim",) * self.times)

    def _read(self, world: World, mind: Mind) -> Iterator[Move]:
        base = world.newest
        root = Root(base.number + 1, base.entries, base.number)
        at = "remove" if "root before remove" in self.removed else "publish"
        yield f"reads root {base.number}", world, mind._replace(at=at, next=root)
        yield "goes on where another has stopped", world, mind._replace(at="sync", next=base)

    def _publish(self, world: World, mind: Mind) -> Iterator[Move]:
        assert mind.next is not None
        published = world.publish(mind.next)
        if published is None:
            yield f"finds number {mind.next.number} taken", world, mind._replace(at="read", next=None)
        else:
            yield f"publishes that roots to {mind.next.trimmed_to} may go", published, mind._replace(at="sync")

    def _sync(self, world: World, mind: Mind) -> Iterator[Move]:
        if "sync before remove" in self.removed:
            yield "does not sync root/", world, mind._replace(at="remove")
        else:
            yield "syncs root/", world.synced(), mind._replace(at="remove")

    def _remove(self, world: World, mind: Mind) -> Iterator[Move]:
        assert mind.next is not None
        limit = mind.next.trimmed_to - ("root before remove" in self.removed)  # the newest of all has to stay
        old = {root for root in world.files if root.number <= limit}
        if old:
            yield f"removes root {min(old).number}", world.without({min(old)}), mind
        else:
            left = mind.todo[1:]
            yield "is done", world, Mind("read", left) if left else Mind("done")


class Power:
    """Fails once: of the names that are not certain any may be lost."""

    name = "the power"

    def first(self) -> Mind:
        """It is on."""
        return Mind()

    def moves(self, world: World, mind: Mind) -> Iterator[Move]:
        """Fail."""
        doubtful = sorted(world.files - world.certain)
        if world.is_off:
            return
        for n in range(len(doubtful) + 1):
            for kept in combinations(doubtful, n):
                files = world.certain | set(kept)
                yield f"fails, {n} new roots stay", world._replace(files=files, certain=files, is_off=True), mind
