"""Savers, step by step as `store/writer.py` and `store/roots.py` do it: lease, root, objects, check, publish, answer.

`removed` holds the names of guards taken away. A saver that is expired ends; another does what it would do next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.search import Move
from tests.model.world import NONE, Entry, Names, Root, World, packs, writer_of


class Mind(NamedTuple):
    """What a saver remembers."""

    at: str = "choose name"
    epoch: int = 0
    seen: int = 0
    """Number of the root that was read at the begin."""
    needs: Names = NONE
    parent: Entry | None = None
    base: int = 0
    next: Root | None = None
    n_published: int = 0


DONE, DEAD = Mind("done"), Mind("dead")


class Saver:
    """Saves checkpoint `name`, which needs all that the root read at its begin lets it use, and a pack of its own."""

    def __init__(
        self, name: str, removed: Names = NONE, *, crashes: bool = True, answers_get_lost: bool = True
    ) -> None:
        self.name, self.removed = name, removed
        self.crashes, self.answers_get_lost = crashes, answers_get_lost
        self.made: Names = frozenset({f"pack {name}"})

    def first(self) -> Mind:
        """Before anything."""
        return Mind()

    def moves(self, world: World, mind: Mind) -> Iterator[Move]:
        """What it can do now."""
        if mind.at in ("done", "dead"):
            return
        yield from getattr(self, f"_{mind.at.replace(' ', '_')}")(world, mind)
        if self.crashes and mind.at != "choose name":
            yield "crashes", world.crashed(self.name), DEAD

    # -- begin

    def _choose_name(self, world: World, mind: Mind) -> Iterator[Move]:
        if "lease before root" in self.removed:
            seen = self._knows(world, mind._replace(at="make lease late", epoch=world.root.number))
            yield "reads the root", world, seen
        else:
            yield "takes its epoch", world, mind._replace(at="make lease", epoch=world.root.number)

    def _make_lease(self, world: World, mind: Mind) -> Iterator[Move]:
        yield "makes its lease", world.with_lease(self.name, mind.epoch), mind._replace(at="read root")

    def _make_lease_late(self, world: World, mind: Mind) -> Iterator[Move]:
        yield "makes its lease", world.with_lease(self.name, mind.epoch), mind._replace(at="write")

    def _read_root(self, world: World, mind: Mind) -> Iterator[Move]:
        if mind.epoch < world.root.floor:
            yield "takes another name", world.without_lease(self.name), Mind()
        elif "epoch before root" in self.removed:
            yield "reads the root", world, self._knows(world, mind)._replace(at="take epoch late")
        else:
            yield "reads the root", world, self._knows(world, mind)._replace(at="write")

    def _take_epoch_late(self, world: World, mind: Mind) -> Iterator[Move]:
        yield "takes its epoch", world, mind._replace(at="write", epoch=world.root.number)

    def _knows(self, world: World, mind: Mind) -> Mind:
        """All that it may use: packs that a segment names live, and pages of its parent."""
        root = world.root
        parent = root.entry("c0")
        doomed = {name for name, _ in root.condemned} | root.deleting
        return mind._replace(seen=root.number, needs=(root.named - doomed) | (parent.needs if parent else NONE))

    def _write(self, world: World, mind: Mind) -> Iterator[Move]:
        yield "writes its objects", world.with_files(self.made), mind._replace(at="check")

    # -- commit

    def _check(self, world: World, mind: Mind) -> Iterator[Move]:
        root = world.root
        again = mind.n_published > 0 and "check after EEXIST" in self.removed
        if not again and (mind.epoch < root.floor and "floor" not in self.removed):
            yield "is expired", self._given_up(world, mind), DONE
        elif not again and self._is_gone(root, mind):
            yield "is told to begin again", self._given_up(world, mind), DONE
        else:
            changed = self._with_my_checkpoint(root if again else self._rescued(root, mind), mind)
            yield "extends the root", world, mind._replace(at="publish", base=root.number, next=changed)

    def _given_up(self, world: World, mind: Mind) -> World:
        """Nobody can have learnt what was written unless a publish was tried."""
        kept = world if mind.n_published else world.without_files(self.made)
        return kept.without_lease(self.name)._replace(problem=self._was_wronged(world, mind))

    def _was_wronged(self, world: World, mind: Mind) -> str:
        return ""

    def _is_gone(self, root: Root, mind: Mind) -> bool:
        doomed = {name for name, _ in root.condemned} | root.deleting
        missing = packs(mind.needs) - root.named - root.live - {name for name, _ in root.condemned}
        if "named" not in self.removed and missing:
            return True
        return "named" not in self.removed and bool(doomed & mind.needs & root.deleting)

    def _rescued(self, root: Root, mind: Mind) -> Root:
        if "rescue" in self.removed:
            return root
        mine = {item for item in root.condemned if item[0] in mind.needs or writer_of(item[0]) in self._writers(mind)}
        names = frozenset(name for name, _ in mine)
        return root._replace(condemned=root.condemned - mine, named=root.named | packs(names & mind.needs))

    def _writers(self, mind: Mind) -> Names:
        return frozenset({self.name})

    def _with_my_checkpoint(self, root: Root, mind: Mind) -> Root:
        entry = Entry(self.name, mind.needs | self.made)
        return root.after(entries=root.with_entry(entry), named=root.named | packs(self.made))

    def _publish(self, world: World, mind: Mind) -> Iterator[Move]:
        assert mind.next is not None
        tried = mind._replace(n_published=mind.n_published + 1, next=None)
        published = world.publish(mind.next, mind.base)
        if published is None and "create exclusive" in self.removed:
            published = world._replace(root=mind.next)
        if published is None:
            yield "finds its number taken", world, tried._replace(at="check")
        else:
            yield "publishes", published, tried._replace(at="answer")
        if self.answers_get_lost:
            yield from self._publish_unanswered(world, published, tried)

    def _publish_unanswered(self, world: World, published: World | None, tried: Mind) -> Iterator[Move]:
        after = published or world
        if "keep after unknown outcome" in self.removed:
            after = after.without_files(self.made)
        yield "gets no answer and gives up", after.without_lease(self.name), DONE
        if published and tried.n_published == 1:
            # as NFS does when it sends a request again whose first answer was lost
            again = "check" if "read back" in self.removed else "answer"
            yield "publishes and is told that its number is taken", published, tried._replace(at=again)

    def _answer(self, world: World, mind: Mind) -> Iterator[Move]:
        told = world._replace(acknowledged=world.acknowledged | {self.name})
        yield "returns", told.without_lease(self.name), DONE


class PoliteSaver(Saver):
    """Beside a gc that gives nobody up: no condemnation newer than the root that it read may expire it."""

    def _was_wronged(self, world: World, mind: Mind) -> str:
        return "a living writer was expired by a gc that waits" if world.root.floor > mind.seen else ""


class Adopter(Saver):
    """Takes up packs that it finds on disk, whoever made them, but those that the root says are dying."""

    def _knows(self, world: World, mind: Mind) -> Mind:
        root = world.root
        doomed = {name for name, _ in root.condemned} | root.deleting
        strays = packs(world.disk) - doomed - {f"pack {lease.writer}" for lease in world.leases}
        return mind._replace(seen=root.number, needs=strays)

    def _is_gone(self, root: Root, mind: Mind) -> bool:
        return False  # it names them itself

    def _with_my_checkpoint(self, root: Root, mind: Mind) -> Root:
        return super()._with_my_checkpoint(root._replace(named=root.named | mind.needs), mind)


class Deleter:
    """Deletes one checkpoint: one root step that needs nothing, so it is begun again until it is made."""

    def __init__(self, checkpoint: str) -> None:
        self.name, self.checkpoint = f"deleter of {checkpoint}", checkpoint

    def first(self) -> Mind:
        """Before anything."""
        return Mind()

    def moves(self, world: World, mind: Mind) -> Iterator[Move]:
        """Delete it once it is there."""
        if mind.at == "choose name" and world.root.entry(self.checkpoint):
            root = world.root.after(entries=world.root.without(self.checkpoint))
            yield "deletes it", world._replace(root=root, deleted=world.deleted | {self.checkpoint}), DONE
