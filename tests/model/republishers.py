"""Who gives c0 a new closure, as `engine/republish.py` does: a repack moves its pack, a thinning drops its page.

Both make the new closure from the one that the root read at their begin names, and publish it only if it still does.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.savers import DONE, Mind, Saver
from tests.model.search import Move
from tests.model.world import NONE, Entry, Names, Root, World, broken


class Republisher(Saver):
    """Writes the new objects and a new closure, then makes the one root step."""

    def __init__(self, name: str, removed: Names = NONE, *, crashes: bool = True) -> None:
        super().__init__(name, removed, crashes=crashes, answers_get_lost=False)

    def _knows(self, world: World, mind: Mind) -> Mind:
        return mind._replace(seen=world.root.number, parent=world.root.entry("c0"))

    def _write(self, world: World, mind: Mind) -> Iterator[Move]:
        if mind.parent is None:
            yield "finds nothing to do", world.without_lease(self.name), DONE
        else:
            yield from super()._write(world, mind)

    def _changed(self, old: Entry) -> Entry:
        raise AssertionError(old)

    def _check(self, world: World, mind: Mind) -> Iterator[Move]:
        now = world.root.entry("c0")
        same = now == mind.parent or ("compare" in self.removed and now is not None)
        if same or (now is None and "gone" in self.removed):
            yield from super()._check(world, mind)
        else:
            yield "leaves c0 as it is", self._given_up(world, mind), DONE

    def _with_my_checkpoint(self, root: Root, mind: Mind) -> Root:
        assert mind.parent is not None
        entry = self._changed(mind.parent)
        return root.after(
            entries=tuple(sorted((*root.without("c0"), entry))), named=root.named | (self.made & entry.needs)
        )

    def _answer(self, world: World, mind: Mind) -> Iterator[Move]:
        yield "returns", world.without_lease(self.name), DONE


class Repacker(Republisher):
    """Copies the frames of pack X to a pack of its own; the old pack is then garbage as any other."""

    def _changed(self, old: Entry) -> Entry:
        return old._replace(needs=old.needs - {"pack X"} | self.made)


class Thinner(Republisher):
    """Drops page H. Once it has returned, nobody may bring the page back."""

    def _changed(self, old: Entry) -> Entry:
        return old._replace(needs=old.needs - {"page H"} | self.made, thinned=True)

    def _answer(self, world: World, mind: Mind) -> Iterator[Move]:
        yield "returns", world._replace(thinned=True).without_lease(self.name), DONE


def broken_republishing(world: World) -> str:
    """What is wrong if a thinning that has returned is not in the root, or a deleted checkpoint is again."""
    entry = world.root.entry("c0")
    if entry and "c0" in world.deleted:
        return "a deleted checkpoint came back"
    if entry and world.thinned and not entry.thinned:
        return "a thinning that was acknowledged is undone"
    return broken(world)
