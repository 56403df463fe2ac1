"""The store of the models: one newest root, what is on disk, leases, and what was promised to whom.

Objects are named "pack X" or "page H"; the word after the kind is the writer that made it, as in real names. A page
stands for a manifest or closure in which pages of a child lie: nothing lists it but the checkpoints that need it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

Names = frozenset[str]
NONE: Names = frozenset()


class Entry(NamedTuple):
    """A checkpoint in a root."""

    name: str
    needs: Names
    thinned: bool = False


class Root(NamedTuple):
    """What a root says."""

    number: int = 1
    entries: tuple[Entry, ...] = ()
    named: Names = NONE
    """Packs that a segment names: those in which a saver may find a chunk."""
    condemned: frozenset[tuple[str, int]] = frozenset()
    deleting: Names = NONE
    floor: int = 0

    @property
    def live(self) -> Names:
        """What its checkpoints need."""
        return frozenset().union(*(entry.needs for entry in self.entries))

    @property
    def n_condemned(self) -> int:
        """The newest condemnation; 0: there is none."""
        return max((number for _, number in self.condemned), default=0)

    def entry(self, name: str) -> Entry | None:
        """The checkpoint of this name."""
        return next((entry for entry in self.entries if entry.name == name), None)

    def after(self, **changes: Any) -> Root:
        """The next root."""
        return self._replace(number=self.number + 1, **changes)

    def with_entry(self, entry: Entry) -> tuple[Entry, ...]:
        """Its checkpoints and one more."""
        return tuple(sorted((*self.entries, entry)))

    def without(self, name: str) -> tuple[Entry, ...]:
        """Its checkpoints but this one."""
        return tuple(entry for entry in self.entries if entry.name != name)


class Lease(NamedTuple):
    """The file by which others see a writer."""

    writer: str
    epoch: int
    alive: bool = True


class World(NamedTuple):
    """Everything outside the actors' heads."""

    root: Root
    disk: Names
    leases: frozenset[Lease] = frozenset()
    acknowledged: Names = NONE
    deleted: Names = NONE
    mail: frozenset[tuple[str, int, Names]] = frozenset()
    """What ranks tell the one that commits for them: name, epoch, what they need."""
    thinned: bool = False
    """Whether a thinning of c0 has returned."""
    problem: str = ""
    """What an actor has met that it must not."""

    def publish(self, root: Root, base: int) -> World | None:
        """The root after root `base`; None if its number is taken."""
        return self._replace(root=root) if self.root.number == base else None

    def with_lease(self, writer: str, epoch: int) -> World:
        """A lease is made."""
        return self._replace(leases=self.leases | {Lease(writer, epoch)})

    def without_lease(self, writer: str) -> World:
        """A lease is given back."""
        return self._replace(leases=frozenset(lease for lease in self.leases if lease.writer != writer))

    def crashed(self, writer: str) -> World:
        """The holder of a lease is dead; the file stays."""
        return self._replace(
            leases=frozenset(lease._replace(alive=False) if lease.writer == writer else lease for lease in self.leases)
        )

    def with_files(self, names: Iterable[str]) -> World:
        """Objects are made."""
        return self._replace(disk=self.disk | frozenset(names))

    def without_files(self, names: Iterable[str]) -> World:
        """Files are removed."""
        return self._replace(disk=self.disk - frozenset(names))


def writer_of(name: str) -> str:
    """Who made an object."""
    return name.partition(" ")[2]


def packs(names: Names) -> Names:
    """The packs among some objects."""
    return frozenset(name for name in names if name.startswith("pack "))


def broken(world: World) -> str:
    """What is wrong with the store, or nothing."""
    if world.problem:
        return world.problem
    for entry in world.root.entries:
        if not entry.needs <= world.disk:
            return f"checkpoint {entry.name} lacks {', '.join(sorted(entry.needs - world.disk))}"
    names = [entry.name for entry in world.root.entries]
    if len(set(names)) < len(names):
        return "a checkpoint was committed twice"
    lost = world.acknowledged - world.deleted - set(names)
    return f"acknowledged checkpoint {', '.join(sorted(lost))} is lost" if lost else ""
