"""Children that work until they are killed, stopped, or told by a file to come to an end.

Not by an event of multiprocessing: a child that is killed while it holds the event's lock would stop all others.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ckstore
from tests.support.children import Tell
from tests.support.marks import Delete, Mark, Save
from tests.support.states import assert_same, state_of
from tests.support.stores import save

EXPIRED = "expired"
"""Told of a save that was given up too often: nothing of it was published."""


def stop_file(path: str) -> str:
    """The file whose existence ends the work on the store at `path`."""
    return f"{path}.stop"


def _is_over(path: str) -> bool:
    return os.path.exists(stop_file(path))


def _marked(tell: Tell, what: Any, act: Callable[[], Any]) -> None:
    tell(Mark(what, acknowledged=False))
    try:
        act()
    except ckstore.WriterExpired:
        tell((EXPIRED, what))
    else:
        tell(Mark(what, acknowledged=True))


def saver(tell: Tell, path: str, run: str, step: int) -> None:
    """Save a run, from `step` on."""
    with ckstore.open(path) as store:
        while not _is_over(path):
            _marked(tell, Save((run, step)), lambda step=step: save(store, run, step))
            step += 1


def reader(tell: Tell, path: str, seed: int) -> None:
    """Load and compare some of what there is. Tells how much it was, after each round."""
    rng = random.Random(seed)
    with ckstore.open(path) as store:
        while not _is_over(path):
            n, there = 0, store.checkpoints()
            for ck in {*there[-2:], *rng.sample(there, min(2, len(there)))}:
                with suppress(ckstore.CheckpointDeleted, ckstore.CheckpointNotFound):
                    assert_same(store.load(ck), state_of(ck.run, ck.step), ck.ref)
                    n += 1
            tell(n)


def collector(tell: Tell, path: str, seed: int) -> None:
    """Collect, now and then giving up every writer there is. Tells how many objects went, after each time."""
    rng = random.Random(seed)
    with ckstore.open(path) as store:
        while not _is_over(path):
            with suppress(ckstore.WriterExpired):
                tell(store.gc(grace_s=0, expire_writers=rng.random() < 0.2).deleted_objects)


def expirer(tell: Tell, path: str, keep: int) -> None:
    """Delete all but the newest `keep` of every run."""
    with ckstore.open(path) as store:
        while not _is_over(path):
            there = store.checkpoints()
            for run in {ck.run for ck in there}:
                for ck in [ck for ck in there if ck.run == run][:-keep]:
                    with suppress(ckstore.NotFoundError):
                        _marked(tell, Delete((ck.run, ck.step)), lambda ck=ck: store.delete(ck))
