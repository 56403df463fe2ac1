"""A scenario recorded, every crash it could have had, and the check of what each would have left."""

from __future__ import annotations

import copy
import errno
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

import ckstore
from ckstore.engine import catalog
from ckstore.store import blocks, segments
from tests.crash.promises import check_image, promise_before
from tests.crash.scenarios import STORE, Play, Scenario, fill
from tests.crash.spoiling import spoil
from tests.support.door import quickly
from tests.support.marks import Mark, Promise
from tests.support.recording import Disk, Image, Log, Recorder, crashes, read_image
from tests.support.states import CHUNK

AGAIN = 10
"""Of so many images one crashes a second time, while a gc cleans up after the first crash."""


class NoLinks(Recorder):
    """A file system without hard links, as exFAT is: roots are published by a rename that replaces nothing."""

    def link(self, source: str, path: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), source)


def record(path: Path, scenario: Scenario) -> tuple[Image, Log]:
    """(the directory before, all that the scenario does to it)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", blocks.ALIGNMENT)  # packs of several blocks
        if scenario.early:
            patch.setattr(catalog, "INLINE_ENTRIES", 2)
            patch.setattr(segments, "MERGE_FACTOR", 2)
        return _record(path, scenario)


def _record(path: Path, scenario: Scenario) -> tuple[Image, Log]:
    if scenario.saved is not None:
        fill(path / STORE, *scenario.saved, deleted=scenario.deleted, level=scenario.level)
    if scenario.damaged:
        spoil(path / STORE)
    before = read_image(path)
    recorder = (Recorder if scenario.links else NoLinks)(path)
    path.mkdir(exist_ok=True)
    with recorder.installed():
        scenario.act(Play(path / STORE, recorder))
    return before, recorder.log


@dataclass(frozen=True)
class Moment:
    """A crash after operation `at` of a log: what it left, and what that owes."""

    at: int
    what: str
    image: Image
    promise: Promise

    @property
    def key(self) -> tuple[int, str]:
        """Equal where the check would be the same."""
        return self.image.key, str(self.promise)


def every_crash(log: Log, before: Image, promise: Promise, seed: str) -> Iterator[Moment]:
    """Every kind of crash after every operation, equal images among them."""
    rng, disk = random.Random(seed), Disk(before)
    for i, step in enumerate(log):
        if isinstance(step, Mark):
            promise.heed(step)
        else:
            disk.play(step)
        for kind, image in crashes(disk, rng).items():
            yield Moment(i, f"crash after operation {i} ({step}), {kind}; seed {seed}", image, copy.deepcopy(promise))


@dataclass
class Checked:
    """What was checked of one scenario."""

    n_images: int = 0
    n_again: int = 0
    """Of these, second crashes."""
    operations: int = 0
    """Operations of the log with an image at least."""
    n_operations: int = 0

    def counts(self) -> Counter[str]:
        """For the counters of a soak."""
        return Counter({"crash images": self.n_images, "second crashes": self.n_again})


def check_scenario(scenario: Scenario, path: Path, seed: str, every: int = 1) -> Checked:
    """Check each image that differs, of every operation at least one. every: of the others, every so manieth."""
    before, log = record(path / "live", scenario)
    done, found, rng = set[Any](), Checked(n_operations=len(log)), random.Random(seed)
    with quickly():
        for at, kinds in groupby(every_crash(log, before, promise_before(scenario), seed), lambda moment: moment.at):
            fresh = {moment.key: moment for moment in kinds if moment.key not in done}
            chosen = list(fresh.values())[at % every :: every] or list(fresh.values())[:1]
            for moment in chosen:
                done.add(moment.key)
                found.n_images += 1
                _check(moment, path / "image", go_on=found.n_images % 4 == 0)
                if found.n_images % AGAIN == 0:
                    found.n_again += crash_again(moment, path / "again", rng)
            found.operations += bool(chosen) or not fresh
    found.n_images += found.n_again
    return found


def _check(moment: Moment, path: Path, go_on: bool) -> None:
    try:
        check_image(moment.promise, moment.image, path, go_on)
    except BaseException as error:
        error.add_note(moment.what)
        raise


def crash_again(moment: Moment, path: Path, rng: random.Random) -> int:
    """Recover from a crash, and crash at some moment of that; how many images were checked."""
    how: dict[str, Any] = {} if moment.promise.made else {"create": True, "chunk_elements": CHUNK}
    promise, recorder = copy.deepcopy(moment.promise), Recorder(path / "live")
    (path / "live").mkdir(parents=True)
    moment.image.write(path / "live")
    try:
        with recorder.installed():
            if promise.damaged:
                ckstore.repair(path / "live" / STORE, dry_run=False)
            with ckstore.open(path / "live" / STORE, **how) as store:
                promise.settle(store)
                store.gc(grace_s=0)
        later = list(every_crash(recorder.log, moment.image, promise, f"{moment.what}; then"))
        if later:
            _check(rng.choice(later), path / "image", go_on=False)
        return min(1, len(later))
    finally:
        shutil.rmtree(path, ignore_errors=True)
