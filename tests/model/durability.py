"""What is certain when the power fails: a saver, a deletion, and gcs of which one may go on from another's root.

The saver's objects and all names in root/ are uncertain until they are synced; what was removed is gone for certain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.search import Move
from tests.model.world import NONE, Entry, Names, Root


class World(NamedTuple):
    """Roots, the last certain one first, and objects."""

    roots: tuple[Root, ...]
    disk: Names
    certain: Names
    acknowledged: Names = NONE
    deleted: Names = NONE
    is_off: bool = False

    @property
    def root(self) -> Root:
        """The newest, certain or not."""
        return self.roots[-1]

    def publish(self, root: Root) -> World:
        """One more root, not certain yet."""
        return self._replace(roots=(*self.roots, root))

    def synced(self) -> World:
        """All names in root/ are certain."""
        return self._replace(roots=self.roots[-1:])


def broken(world: World) -> str:
    """What is wrong with the store, or nothing."""
    for entry in world.root.entries:
        if not entry.needs <= world.disk:
            return f"checkpoint {entry.name} lacks {', '.join(sorted(entry.needs - world.disk))}"
    lost = world.acknowledged - world.deleted - {entry.name for entry in world.root.entries}
    return f"acknowledged checkpoint {', '.join(sorted(lost))} is lost" if lost else ""


class Mind(NamedTuple):
    """What an actor remembers."""

    at: str
    doomed: Names = NONE


DONE = Mind("done")


class _Actor:
    """Stops when the power has failed; may crash anywhere. `begin` is its first step."""

    begin = ""

    def __init__(self, name: str, removed: Names = NONE) -> None:
        self.name, self.removed = name, removed

    def first(self) -> Mind:
        """Before anything."""
        return Mind(self.begin)

    def moves(self, world: World, mind: Mind) -> Iterator[Move]:
        """What it can do now."""
        if not world.is_off and mind.at != "done":
            yield from getattr(self, f"_{mind.at}")(world, mind)
            yield "crashes", world, DONE


class Saver(_Actor):
    """Writes, syncs, publishes, syncs, answers."""

    begin = "write"

    def _write(self, world: World, mind: Mind) -> Iterator[Move]:
        at = "publish" if "sync objects before root" in self.removed else "sync_objects"
        yield "writes its objects", world._replace(disk=world.disk | {f"pack {self.name}"}), Mind(at)

    def _sync_objects(self, world: World, mind: Mind) -> Iterator[Move]:
        certain = world.certain | {f"pack {self.name}"}
        yield "syncs them and their directories", world._replace(certain=certain), Mind("publish")

    def _publish(self, world: World, mind: Mind) -> Iterator[Move]:
        entry = Entry(self.name, frozenset({f"pack {self.name}"}))
        root = world.root.after(entries=world.root.with_entry(entry))
        at = "answer" if "sync root before answer" in self.removed else "sync_root"
        yield "publishes", world.publish(root), Mind(at)

    def _sync_root(self, world: World, mind: Mind) -> Iterator[Move]:
        yield "syncs root/", world.synced(), Mind("answer")

    def _answer(self, world: World, mind: Mind) -> Iterator[Move]:
        yield "returns", world._replace(acknowledged=world.acknowledged | {self.name}), DONE


class Deleter(_Actor):
    """Deletes c0."""

    begin = "publish"

    def _publish(self, world: World, mind: Mind) -> Iterator[Move]:
        root = world.root.after(entries=world.root.without("c0"))
        yield "deletes c0", world.publish(root)._replace(deleted=frozenset({"c0"})), Mind("sync")

    def _sync(self, world: World, mind: Mind) -> Iterator[Move]:
        yield "syncs root/", world.synced(), DONE


class Collector(_Actor):
    """Finishes, condemns, releases, finishes; every root step is synced before the next."""

    begin = "finish"

    def _finish(self, world: World, mind: Mind) -> Iterator[Move]:
        doomed = world.root.deleting
        if not doomed:
            yield "finds nothing to delete", world, Mind("condemn")
        else:
            ready = world if "sync root before delete" in self.removed else world.synced()
            yield "sees what is to be deleted", ready, Mind("delete", doomed)

    def _delete(self, world: World, mind: Mind) -> Iterator[Move]:
        gone = world._replace(disk=world.disk - mind.doomed, certain=world.certain - mind.doomed)
        yield "deletes it", gone, Mind("clear", mind.doomed)

    def _clear(self, world: World, mind: Mind) -> Iterator[Move]:
        root = world.root.after(deleting=world.root.deleting - mind.doomed)
        yield "clears its list", world.publish(root), Mind("sync_clear")

    def _sync_clear(self, world: World, mind: Mind) -> Iterator[Move]:
        yield "syncs root/", world.synced(), DONE

    def _condemn(self, world: World, mind: Mind) -> Iterator[Move]:
        root = world.root
        dead = frozenset({"pack X"} & world.disk) - root.live
        if dead - {name for name, _ in root.condemned}:
            more = root.after(condemned=frozenset((name, root.number + 1) for name in dead))
            yield "condemns", world.publish(more), Mind("sync_condemned")
        else:
            yield "finds nothing more to condemn", world, Mind("release")

    def _sync_condemned(self, world: World, mind: Mind) -> Iterator[Move]:
        yield "syncs root/", world.synced(), Mind("release")

    def _release(self, world: World, mind: Mind) -> Iterator[Move]:
        root = world.root
        names = frozenset(name for name, _ in root.condemned)
        if names:
            after = root.after(condemned=frozenset(), deleting=root.deleting | names, floor=root.n_condemned)
            yield "releases", world.publish(after), Mind("sync_released")
        else:
            yield "has nothing to release", world, DONE

    def _sync_released(self, world: World, mind: Mind) -> Iterator[Move]:
        yield "syncs root/", world.synced(), Mind("finish")


class Power(_Actor):
    """Fails once: any of the roots that are not all certain may be the newest, and unsynced objects may be gone."""

    begin = "on"

    def moves(self, world: World, mind: Mind) -> Iterator[Move]:
        """Fail."""
        if world.is_off:
            return
        for root in world.roots:
            for disk in {world.disk, world.disk & world.certain}:
                left = world._replace(roots=(root,), disk=disk, is_off=True)
                yield f"fails, root {root.number} is the newest left", left, mind
