"""Several ranks of one checkpoint: each has a lease and objects of its own, one of them commits for all."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.savers import DONE, Mind, Saver
from tests.model.search import Move
from tests.model.world import NONE, Entry, Names, Root, World, packs


class Rank(Saver):
    """Writes its part, tells who commits what it needs and since when, and keeps its lease until that is done."""

    def _check(self, world: World, mind: Mind) -> Iterator[Move]:
        told = (self.name, mind.epoch, mind.needs | self.made)
        yield "hands its part over", world._replace(mail=world.mail | {told}), Mind("wait")

    def _wait(self, world: World, mind: Mind) -> Iterator[Move]:
        if not any(name == self.name for name, _, _ in world.mail):
            yield "is done", world.without_lease(self.name), DONE


class Leader(Saver):
    """Commits the parts of all ranks and its own in one root step, which counts as begun when the first of them was."""

    def __init__(self, name: str, ranks: Names, removed: Names = NONE, *, crashes: bool = True) -> None:
        super().__init__(name, removed, crashes=crashes, answers_get_lost=False)
        self.ranks = ranks

    def _check(self, world: World, mind: Mind) -> Iterator[Move]:
        parts = [part for part in world.mail if part[0] in self.ranks]
        if len(parts) < len(self.ranks):
            return
        needs = mind.needs.union(*(needs for _, _, needs in parts))
        epoch = mind.epoch
        if "least epoch" not in self.removed:
            epoch = min([epoch, *(epoch for _, epoch, _ in parts)])
        yield from super()._check(world, mind._replace(needs=needs, epoch=epoch))

    def _is_gone(self, root: Root, mind: Mind) -> bool:
        mine = self.made | {f"pack {rank}" for rank in self.ranks}  # nobody but they can have named these yet
        return super()._is_gone(root, mind._replace(needs=mind.needs - (mine - root.deleting)))

    def _with_my_checkpoint(self, root: Root, mind: Mind) -> Root:
        needs = mind.needs | self.made
        return root.after(entries=root.with_entry(Entry(self.name, needs)), named=root.named | packs(needs))

    def _given_up(self, world: World, mind: Mind) -> World:
        return super()._given_up(world, mind)._replace(mail=NONE)

    def _answer(self, world: World, mind: Mind) -> Iterator[Move]:
        for what, after, changed in super()._answer(world, mind):
            yield what, after._replace(mail=frozenset()), changed
