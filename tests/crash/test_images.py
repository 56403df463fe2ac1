"""After a crash at any moment every acknowledged checkpoint is there, and the next gc leaves nothing behind."""

from __future__ import annotations

import copy
import errno
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import ckstore
from ckstore.engine import catalog
from ckstore.store import segments
from tests.crash.promises import check_image, promise_before
from tests.crash.scenarios import SCENARIOS, STORE, Play, Scenario, fill
from tests.support.door import quickly
from tests.support.marks import Mark, Promise
from tests.support.recording import Disk, Image, Log, Recorder, crashes, read_image
from tests.support.states import strays

SEED = int(os.environ.get("CKSTORE_TEST_SEED", "20"))


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    monkeypatch.setenv("CKSTORE_THREADS", "1")


class NoLinks(Recorder):
    """A file system without hard links, as exFAT is: roots are published by a rename that replaces nothing."""

    def link(self, source: str, path: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), source)


def record(path: Path, scenario: Scenario) -> tuple[Image, Log]:
    """(the directory before, all that the scenario does to it)."""
    with pytest.MonkeyPatch.context() as patch:
        if scenario.early:
            patch.setattr(catalog, "INLINE_ENTRIES", 2)
            patch.setattr(segments, "MERGE_FACTOR", 2)
        return _record(path, scenario)


def _record(path: Path, scenario: Scenario) -> tuple[Image, Log]:
    if scenario.saved is not None:
        fill(path / STORE, *scenario.saved, deleted=scenario.deleted)
    before = read_image(path)
    recorder = (Recorder if scenario.links else NoLinks)(path)
    path.mkdir(exist_ok=True)
    with recorder.installed():
        scenario.act(Play(path / STORE, recorder))
    return before, recorder.log


def moments(log: Log, before: Image, promise: Promise, seed: str) -> Iterator[tuple[str, Image, Promise]]:
    """(what happened, an image, what it owes) for every kind of crash after every operation; equal ones once."""
    rng, seen, disk = random.Random(seed), set(), Disk(before)
    for i, step in enumerate(log):
        if isinstance(step, Mark):
            promise.heed(step)
        else:
            disk.play(step)
        for kind, image in crashes(disk, rng).items():
            key = image.key, str(promise)
            if key not in seen:
                seen.add(key)
                yield f"crash after operation {i} ({step}), {kind}; seed {seed}", image, copy.deepcopy(promise)


def check_all(found: Iterator[tuple[str, Image, Promise]], path: Path, every: int = 1) -> int:
    """Check every `every`-th image; how many were checked."""
    n = 0
    with quickly():
        for i, (what, image, promise) in enumerate(found):
            if i % every:
                continue
            n += 1
            try:
                check_image(promise, image, path, go_on=n % 4 == 0)
            except BaseException as error:
                error.add_note(what)
                raise
    return n


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_image_of_a_crash_holds_what_was_acknowledged(name, fast_path):
    scenario = SCENARIOS[name]
    before, log = record(fast_path / "live", scenario)
    found = moments(log, before, promise_before(scenario), f"{SEED} {name}")
    assert check_all(found, fast_path / "image", scenario.every) >= scenario.n_images


def test_the_images_checked_are_more_than_a_thousand():
    assert sum(scenario.n_images for scenario in SCENARIOS.values()) > 1000


@pytest.mark.soak
@pytest.mark.parametrize("round_", range(int(os.environ.get("CKSTORE_SOAK_ROUNDS", "20"))))
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_image_of_a_crash_with_other_seeds(name, round_, fast_path):
    scenario = SCENARIOS[name]
    before, log = record(fast_path / "live", scenario)
    found = moments(log, before, promise_before(scenario), f"{SEED} {name} {round_}")
    assert check_all(found, fast_path / "image") >= scenario.n_images


@pytest.mark.parametrize("name", ["gc", "gc of everything"])
def test_what_a_gc_has_freed_stays_freed_after_a_crash(name, fast_path):
    before, log = record(fast_path / "live", SCENARIOS[name])
    disk = Disk(before)
    for step in log:
        if not isinstance(step, Mark):
            disk.play(step)
    crashes(disk, random.Random(SEED))["nothing unsynced is there"].write(fast_path / "image")
    with ckstore.open(fast_path / "image" / STORE) as store:
        assert {stray for stray in strays(store) if not stray.startswith(("lease/", "tmp/"))} == set()


@pytest.mark.parametrize("name", ["saver beside gc", "gc"])
def test_a_crash_of_the_gc_that_cleans_up_after_a_crash(name, fast_path):
    scenario = SCENARIOS[name]
    before, log = record(fast_path / "live", scenario)
    first = list(moments(log, before, promise_before(scenario), f"{SEED} {name}"))
    what, image, promise = random.Random(SEED).choice(first)
    (fast_path / "again").mkdir()
    image.write(fast_path / "again")
    recorder = Recorder(fast_path / "again")
    with recorder.installed(), ckstore.open(fast_path / "again" / STORE) as store:
        promise.settle(store)
        store.gc(grace_s=0)
    second = moments(recorder.log, image, promise, f"{what}; then")
    assert check_all(second, fast_path / "image") > 20
    shutil.rmtree(fast_path)
