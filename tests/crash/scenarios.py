"""What is done to a store while it is recorded, and what it then must hold, whenever it crashed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ckstore
from ckstore.engine.gc import collector
from ckstore.engine.gc.collector import Waiting
from ckstore.engine.gc.upkeep import Upkeep
from tests.support.marks import Delete, Keep, Save
from tests.support.recording import Recorder
from tests.support.states import CHUNK, Key, state_of
from tests.support.stores import before_commit

STORE = "runs/store"
"""Where the store is: its parent too is made by whoever makes it."""


@dataclass
class Play:
    """A store under recording: every verb is marked when it begins and when it has returned."""

    path: Path
    recorder: Recorder

    def open(self, create: bool = False) -> ckstore.Store:
        if not create:
            return ckstore.open(self.path)
        self.recorder.mark("init", acknowledged=False)
        store = ckstore.open(self.path, create=True, chunk_elements=CHUNK)
        self.recorder.mark("init", acknowledged=True)
        return store

    def save(self, store: ckstore.Store, run: str, step: int, tags: tuple[str, ...] = ()) -> None:
        what = Save((run, step), tags)
        self.recorder.mark(what, acknowledged=False)
        store.save(state_of(run, step), run=run, step=step, tags=tags)
        self.recorder.mark(what, acknowledged=True)

    def delete(self, store: ckstore.Store, run: str, step: int) -> None:
        what = Delete((run, step))
        self.recorder.mark(what, acknowledged=False)
        store.delete(f"{run}@{step}")
        self.recorder.mark(what, acknowledged=True)

    def thin(self, store: ckstore.Store, run: str, step: int, *drop: str) -> None:
        what = Keep(thinned=((run, step),), drop=drop)
        self.recorder.mark(what, acknowledged=False)
        store.thin(f"{run}@{step}", drop)
        self.recorder.mark(what, acknowledged=True)

    def keep(self, store: ckstore.Store, policy: ckstore.Keep, gone: tuple[Key, ...], thinned: tuple[Key, ...]) -> None:
        what = Keep(gone, thinned, tuple(policy.thin))
        self.recorder.mark(what, acknowledged=False)
        report = store.keep(policy)
        self.recorder.mark(what, acknowledged=True)
        assert (len(report.of("deleted")), len(report.of("thinned"))) == (len(gone), len(thinned))


def fill(path: Path, *saved: Key, deleted: tuple[Key, ...] = (), level: str = "balanced") -> None:
    """A store made before the recording begins."""
    with ckstore.open(path, create=True, chunk_elements=CHUNK, level=level) as store:
        for run, step in saved:
            store.save(state_of(run, step), run=run, step=step)
        for run, step in deleted:
            store.delete(f"{run}@{step}")


def init(play: Play) -> None:
    play.open(create=True).close()


def init_in_a_directory_made_before(play: Play) -> None:
    """Somebody made it just now and kept its parent only: its own name is not certain yet."""
    play.recorder.makedirs(str(play.path))
    play.recorder.keep_names(play.path.parent.parent)
    init(play)


def first_save(play: Play) -> None:
    with play.open() as store:
        play.save(store, "main", 0)


def delta_save(play: Play) -> None:
    with play.open() as store:
        play.save(store, "main", 1)
        play.save(store, "main", 2)


def save_with_tags(play: Play) -> None:
    with play.open() as store:
        play.save(store, "main", 1, ("best", "good"))


def delete(play: Play) -> None:
    with play.open() as store:
        play.delete(store, "main", 0)
        play.delete(store, "main", 2)


def collect(play: Play) -> None:
    with play.open() as store:
        store.gc(grace_s=0)


def repack(play: Play) -> None:
    with play.open() as store:
        report = collector.collect(store._session, Waiting(0), Upkeep(dead_share=0.01))
        assert (report.repacked_packs > 0, report.rebased_frames) == (True, 0)


def rebase(play: Play) -> None:
    with play.open() as store:
        report = store.gc(grace_s=0)
        assert report.rebased_frames > 0


def archive(play: Play) -> None:
    with play.open() as store:
        report = store.gc(grace_s=0, archive=1)
        assert (report.archived_frames > 0, report.archive_checkpoints) == (True, 2)


def emergency(play: Play) -> None:
    with play.open() as store:
        report = store.gc(grace_s=0, emergency=True)
        assert report.dropped_segments > 0
        play.save(store, "main", 3)


def saver_beside_repack(play: Play) -> None:
    """Who saves on top of a checkpoint whose frames are moved keeps the old pack alive, and the next gc finds it."""
    with play.open() as saver, play.open() as other:

        def move() -> None:
            report = collector.collect(other._session, Waiting(0), Upkeep(dead_share=0.01))
            assert report.repacked_packs > 0

        before_commit(saver, move)
        play.save(saver, "main", 3)
        collector.collect(other._session, Waiting(0), Upkeep(dead_share=0.01))


def two_savers(play: Play) -> None:
    """The second commits when the first is about to: the first finds its number taken and goes on from there."""
    with play.open() as first, play.open() as second:
        before_commit(first, lambda: play.save(second, "other", 1))
        play.save(first, "main", 1)
        play.save(second, "other", 2)


def saver_beside_gc(play: Play) -> None:
    """What a saver takes over from its parent is condemned before it commits, and comes back with it."""
    with play.open() as saver, play.open() as other:

        def condemn() -> None:
            play.delete(other, "main", 0)
            other.gc(grace_s=0)

        before_commit(saver, condemn)
        play.save(saver, "main", 1)
        other.gc(grace_s=0)


def run_life(play: Play) -> None:
    """Everything once, from nothing."""
    with play.open(create=True) as store:
        for step in range(3):
            play.save(store, "main", step)
        play.delete(store, "main", 0)
        store.gc(grace_s=0)
        play.save(store, "main", 3)


def thin(play: Play) -> None:
    with play.open() as store:
        play.thin(store, "main", 1, "model.*", "bias")
        store.gc(grace_s=0)


def keep(play: Play) -> None:
    """Two checkpoints go at once, and another is thinned."""
    policy = ckstore.Keep(last=2, thin=["model.weight", "sometimes"], thin_beyond=1)
    with play.open() as store:
        play.keep(store, policy, (("main", 0), ("main", 1)), (("main", 2),))


def repair(play: Play) -> None:
    assert not any(loss.tensors for loss in ckstore.repair(play.path, dry_run=False).losses)
    with play.open() as store:
        play.save(store, "main", 5)
        store.gc(grace_s=0)


@dataclass(frozen=True)
class Scenario:
    """What is recorded, on a store that was made before. Of its images at least n_images differ and are checked."""

    act: Callable[[Play], None]
    n_images: int
    saved: tuple[Key, ...] | None = ()
    """None: there is no store yet."""
    deleted: tuple[Key, ...] = ()
    links: bool = True
    early: bool = False
    """Segments merge and catalog entries move to pages after two saves, not after dozens."""
    level: str = "balanced"
    """At which the store was filled."""
    damaged: bool = False
    """The store is spoilt before the recording begins (spoiling.py)."""
    every: int = 1
    """In the default suite only every so manieth image is checked."""


_RUN = tuple(("main", step) for step in range(3))
SCENARIOS = {
    "init": Scenario(init, 25, None),
    "init in a directory made before": Scenario(init_in_a_directory_made_before, 18, None),
    "first save": Scenario(first_save, 105),
    "delta save": Scenario(delta_save, 185, _RUN[:1]),
    "delta save without hard links": Scenario(delta_save, 180, _RUN[:1], links=False),
    "save with tags": Scenario(save_with_tags, 88, _RUN[:1]),
    "delete": Scenario(delete, 50, _RUN),
    "gc": Scenario(collect, 95, (*_RUN, ("other", 0)), _RUN[:2], every=2),
    "gc of everything": Scenario(collect, 120, _RUN, _RUN),
    "two savers": Scenario(two_savers, 318, _RUN[:1]),
    "saver beside gc": Scenario(saver_beside_gc, 280, _RUN[:1]),
    "delta saves that merge": Scenario(delta_save, 120, _RUN[:1], early=True, every=2),
    "delete in a page": Scenario(delete, 50, _RUN, early=True),
    "gc of half a merged segment": Scenario(collect, 105, _RUN, _RUN[2:], early=True),
    "a life": Scenario(run_life, 300, None, every=3),
    "repack": Scenario(repack, 120, (*_RUN, ("other", 0)), (("main", 1),), every=2),
    "repack in pages": Scenario(repack, 95, (*_RUN, ("other", 0)), (("main", 1),), early=True, every=3),
    "rebase": Scenario(rebase, 150, _RUN, _RUN[:2], every=2),
    "archive": Scenario(archive, 120, _RUN, level="fast", every=2),
    "emergency": Scenario(emergency, 110, (*_RUN, ("other", 0)), (("other", 0),), every=2),
    "saver beside repack": Scenario(saver_beside_repack, 180, (*_RUN, ("other", 0)), (("main", 1),), every=3),
    "thin": Scenario(thin, 180, _RUN[:2]),
    "keep": Scenario(keep, 85, (*_RUN, ("main", 3))),
    "keep in pages": Scenario(keep, 35, (*_RUN, ("main", 3)), early=True, every=3),
    "repair": Scenario(repair, 120, (*_RUN, ("other", 0)), early=True, damaged=True, every=12),
}
