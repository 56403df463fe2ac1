"""What is done to a store, as recorders and children note it, and what the store owes after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import ckstore
from tests.support.states import Key, assert_whole_and_tidy

Tags = tuple[str, ...]


@dataclass(frozen=True)
class Save:
    """A checkpoint and its tags."""

    key: Key
    tags: Tags = ()


@dataclass(frozen=True)
class Delete:
    """The end of a checkpoint."""

    key: Key


@dataclass(frozen=True)
class Keep:
    """One policy: checkpoints that go together, and checkpoints that lose the same leaves together."""

    gone: tuple[Key, ...] = ()
    thinned: tuple[Key, ...] = ()
    drop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mark:
    """A moment: `what` has begun or is acknowledged."""

    what: Any
    acknowledged: bool


@dataclass
class Promise:
    """What must be in the store, and what may be; nothing else may."""

    made: bool = True
    must: dict[Key, Tags] = field(default_factory=dict)
    may: dict[Key, Tags] = field(default_factory=dict)
    dropped: dict[Key, tuple[str, ...]] = field(default_factory=dict)
    """What checkpoints have lost; all others are whole."""
    under_way: Keep = Keep()
    damaged: bool = False
    """Whether a repair has to come first."""

    def heed(self, mark: Mark) -> None:
        """From this mark on something more is owed, or something less."""
        match mark.what, mark.acknowledged:
            case "init", acknowledged:
                self.made = acknowledged
            case Save(key, tags), False:
                self.may[key] = tags
            case Save(key, tags), True:
                self.must[key] = self.may.pop(key)
            case Delete(key), False:
                self.may[key] = self.must.pop(key)
            case Delete(key), True:
                del self.may[key]
            case Keep(gone), False:
                self.under_way = mark.what
                self.may |= {key: self.must.pop(key) for key in gone}
            case Keep(gone, thinned, drop), True:
                self.under_way = Keep()
                self.may = {key: tags for key, tags in self.may.items() if key not in gone}
                self.dropped |= dict.fromkeys(thinned, drop)

    def heed_all(self, marks: Iterable[object]) -> int:
        """Take in all that a child told before it died; how many commits it was told of."""
        n_commits = 0
        for mark in marks:
            assert isinstance(mark, Mark), mark
            self.heed(mark)
            n_commits += mark.acknowledged and mark.what != "gc"
        return n_commits

    def last_step(self, step: int) -> int:
        """The last step that may be in the store, and at least `step`."""
        return max([step, *(key[1] for key in self.must | self.may)])

    def check(self, store: ckstore.Store) -> None:
        """The store holds all that it owes and nothing that it cannot."""
        found = {(ck.run, ck.step): tuple(ck.tags) for ck in store.checkpoints()}
        assert len(found) == len(store.checkpoints())
        assert self.must.items() <= found.items()
        assert found.items() <= (self.must | self.may).items()
        assert len({key in found for key in self.under_way.gone}) <= 1, "a policy deletes all or nothing"
        dropped = {(ck.run, ck.step): tuple(ck.dropped) for ck in store.checkpoints() if ck.dropped}
        owed = {key: drop for key, drop in self.dropped.items() if key in found}
        assert dropped in (owed, owed | dict.fromkeys(self.under_way.thinned, self.under_way.drop))

    def look(self, store: ckstore.Store, after: str) -> None:
        """All that must be there is, whole and without strays; what is seen is owed from now on. after: for errors."""
        try:
            self.check(store)
            assert_whole_and_tidy(store)
        except BaseException as error:
            error.add_note(after)
            raise
        self.settle(store)

    def settle(self, store: ckstore.Store) -> None:
        """What has been seen is owed from now on, and what was not there will not appear."""
        self.must = {(ck.run, ck.step): tuple(ck.tags) for ck in store.checkpoints()}
        self.dropped = {(ck.run, ck.step): tuple(ck.dropped) for ck in store.checkpoints() if ck.dropped}
        self.under_way = Keep()
        self.may.clear()
