"""After a crash at any moment every acknowledged checkpoint is there, and the next gc leaves nothing behind."""

from __future__ import annotations

import os
import random

import pytest

import ckstore
from tests.crash.images import check_scenario, record
from tests.crash.scenarios import SCENARIOS, STORE
from tests.support.marks import Mark
from tests.support.recording import Disk, crashes
from tests.support.states import strays

SEED = int(os.environ.get("CKSTORE_TEST_SEED", "20"))


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    monkeypatch.setenv("CKSTORE_THREADS", "1")


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_image_of_a_crash_holds_what_was_acknowledged(name, fast_path):
    scenario = SCENARIOS[name]
    checked = check_scenario(scenario, fast_path, f"{SEED} {name}", scenario.every)
    print(f"{checked.n_images} images, {checked.n_again} of them of a second crash")
    assert checked.operations == checked.n_operations > 0
    assert checked.n_images >= scenario.n_images
    assert checked.n_again >= scenario.n_images // 15


def test_the_images_checked_are_more_than_two_thousand_of_more_than_eight_scenarios():
    assert sum(scenario.n_images for scenario in SCENARIOS.values()) >= 2000
    assert len(SCENARIOS) >= 8


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
