"""A gc, step by step as `engine/gc/collector.py` does it: finish, list, judge, condemn, wait, release, delete, clear.

It may be wrong about who lives, as often as it likes, unless it is polite. Any step may be its last: another goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.search import Move
from tests.model.world import NONE, Names, Root, World, writer_of


class Mind(NamedTuple):
    """What a gc remembers."""

    at: str = "finish"
    then: str = "list"
    """Where it goes on after it has finished what another began."""
    base: int = 0
    listed: Names = NONE
    writers: Names = NONE
    next: Root | None = None
    number: int = 0
    doomed: Names = NONE
    left: Names = NONE
    """Of these, what is yet to be deleted."""


DONE, DEAD = Mind("done"), Mind("dead")


class Collector:
    """One gc. polite: it takes nobody who lives for dead, and does not delete before they are gone."""

    def __init__(self, name: str, removed: Names = NONE, *, polite: bool = False, crashes: bool = True) -> None:
        self.name, self.removed, self.polite, self.crashes = name, removed, polite, crashes

    def first(self) -> Mind:
        """Before anything."""
        return Mind()

    def moves(self, world: World, mind: Mind) -> Iterator[Move]:
        """What it can do now."""
        if mind.at in ("done", "dead"):
            return
        yield from getattr(self, f"_{mind.at}")(world, mind)
        if self.crashes and mind != Mind():
            yield "crashes", world, DEAD

    def _living(self, world: World) -> set[Names]:
        """Whom it may take for alive: those who are, or nobody."""
        truth = frozenset(lease.writer for lease in world.leases if lease.alive)
        return {truth} if self.polite else {truth, NONE}

    # -- condemn

    def _list(self, world: World, mind: Mind) -> Iterator[Move]:
        listed = mind._replace(listed=world.disk)
        if "objects before leases" in self.removed and not mind.writers:
            for living in self._living(world):
                yield "lists leases", world, listed._replace(listed=NONE, writers=living | {self.name})
        else:
            yield "lists objects", world, listed._replace(at="judge")

    def _judge(self, world: World, mind: Mind) -> Iterator[Move]:
        root = world.root
        known = root.deleting | {name for name, _ in root.condemned}
        for living in {mind.writers} if mind.writers else self._living(world):
            dead = frozenset(name for name in mind.listed - root.live - known if writer_of(name) not in living)
            if dead:
                yield "chooses what is dead", world, self._to_condemn(root, dead)
            else:
                yield "finds nothing dead", world, Mind("look")

    def _to_condemn(self, root: Root, dead: Names) -> Mind:
        if "two phases" in self.removed:
            return Mind("condemn", base=root.number, next=root.after(named=root.named - dead), doomed=dead, left=dead)
        condemned = root.condemned | {(name, root.number + 1) for name in dead}
        named = root.named if "unlist" in self.removed else root.named - dead
        next_root = root.after(condemned=condemned, named=named)
        # what was listed once serves for every root: only what was dead is looked at again, whoever lives by then
        return Mind("condemn", base=root.number, next=next_root, listed=dead, writers=frozenset({self.name}))

    def _condemn(self, world: World, mind: Mind) -> Iterator[Move]:
        assert mind.next is not None
        published = world.publish(mind.next, mind.base)
        if published is None:
            again = mind._replace(at="judge", base=0, next=None) if mind.listed else Mind("list")
            yield "finds its number taken", world, again
            return
        following = Mind("delete", "end", doomed=mind.doomed, left=mind.left) if mind.doomed else Mind("look")
        yield "condemns", self._checked(published, mind.next), following

    def _checked(self, world: World, root: Root) -> World:
        """A polite gc condemns nothing of a living writer."""
        alive = {lease.writer for lease in world.leases if lease.alive}
        wronged = sorted(name for name, _ in root.condemned if writer_of(name) in alive)
        if self.polite and wronged:
            return world._replace(problem=f"a gc condemned {wronged[0]}, whose writer lives and was seen")
        return world

    # -- wait and release

    def _look(self, world: World, mind: Mind) -> Iterator[Move]:
        yield "looks what is condemned", world, Mind("wait", number=world.root.n_condemned)

    def _wait(self, world: World, mind: Mind) -> Iterator[Move]:
        old = {lease.writer for lease in world.leases if lease.epoch < mind.number}
        if "wait" in self.removed or any(not old & living for living in self._living(world)):
            yield "has waited", world, mind._replace(at="release")
        if old & {lease.writer for lease in world.leases if lease.alive}:
            yield "gives up waiting", world, DONE

    def _release(self, world: World, mind: Mind) -> Iterator[Move]:
        root, number = world.root, mind.number
        if "number" in self.removed:
            number = root.n_condemned
        due = frozenset(item for item in root.condemned if item[1] <= number)
        following = Mind("finish", "sweep")
        if not due:
            yield "has nothing to release", world, following
            return
        live = NONE if "live at release" in self.removed else root.live
        dead = frozenset(item for item in due if item[0] not in live)
        floor = max([root.floor, *(number for _, number in dead)])
        if "raise floor" in self.removed:
            floor = root.floor
        deleting = root.deleting | {name for name, _ in dead}
        root = root.after(condemned=root.condemned - due, deleting=deleting, floor=floor)
        yield "releases", world._replace(root=root), following

    # -- delete and clear

    def _finish(self, world: World, mind: Mind) -> Iterator[Move]:
        doomed = world.root.deleting
        going = Mind("delete", mind.then, doomed=doomed, left=doomed)
        if not doomed:
            yield "finds nothing to delete", world, Mind(mind.then)
        elif "clear after delete" in self.removed:
            yield "clears its list", world._replace(root=world.root.after(deleting=NONE)), going
        else:
            yield "sees what is to be deleted", world, going

    def _delete(self, world: World, mind: Mind) -> Iterator[Move]:
        name = min(mind.left)
        left = mind.left - {name}
        after = world.without_files({name})
        if left:
            yield f"deletes {name}", after, mind._replace(left=left)
        else:
            yield f"deletes {name}", after, DONE if mind.then == "end" else mind._replace(at="clear", left=left)

    def _clear(self, world: World, mind: Mind) -> Iterator[Move]:
        left = world.root.deleting - mind.doomed  # another gc may have added to the list meanwhile
        if left == world.root.deleting:
            yield "has nothing to clear", world, Mind(mind.then)
        else:
            yield "clears its list", world._replace(root=world.root.after(deleting=left)), Mind(mind.then)

    def _sweep(self, world: World, mind: Mind) -> Iterator[Move]:
        for living in self._living(world):
            leases = frozenset(lease for lease in world.leases if lease.writer in living)
            yield "drops dead leases", world._replace(leases=leases), DONE


def stray_after_one_more(world: World) -> str:
    """What a last gc, alone, leaves behind."""
    last, mind = Collector("last gc", crashes=False, polite=True), Mind()
    for lease in world.leases:
        world = world.crashed(lease.writer)  # nobody does anything any more
    while mind.at != "done":
        _, world, mind = next(last.moves(world, mind))
    strays = world.disk - world.root.live
    if strays:
        return f"after one more gc {', '.join(sorted(strays))} is still there"
    return "after one more gc something is still condemned" if world.root.condemned | world.root.deleting else ""
