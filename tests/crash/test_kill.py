"""SIGKILL at random moments: what was acknowledged stays, and the next gc leaves no stray byte."""

from __future__ import annotations

import os
import random
import time

import pytest

import ckstore
from tests.support.children import Child, children, do_anything
from tests.support.marks import Mark, Promise
from tests.support.states import assert_whole_and_tidy

SEED = int(os.environ.get("CKSTORE_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
KILLS = int(os.environ.get("CKSTORE_KILLS", "30"))
SOAK_KILLS = int(os.environ.get("CKSTORE_SOAK_KILLS", "400"))


def kill_once(path: str, rng: random.Random, promise: Promise, step: int) -> int:
    """Let a child work for a random while, kill it, and note what it had told; the last step it began."""
    seed = rng.randrange(1 << 32)
    with children(Child(do_anything, path, seed, step, 6)) as (child,):
        marks = [child.message() for _ in range(rng.randint(1, 12))]
        time.sleep(rng.uniform(0, 0.02))  # any moment is right
        child.process.kill()
        marks.extend(child.rest())
    for mark in marks:
        assert isinstance(mark, Mark), mark
        promise.heed(mark)
    return max([step, *(key[1] for key in promise.must | promise.may)])


def kill_often(path: str, n: int) -> None:
    rng, promise, step = random.Random(SEED), Promise(), 0
    print(f"seed {SEED}")
    for i in range(n):
        step = kill_once(path, rng, promise, step)
        with ckstore.open(path) as store:
            try:
                promise.check(store)
                assert_whole_and_tidy(store)
            except BaseException as error:
                error.add_note(f"kill {i} of seed {SEED}")
                raise
            promise.settle(store)


def test_a_process_killed_at_random_moments_loses_nothing_that_was_acknowledged(fast_path):
    kill_often(str(fast_path / "store"), KILLS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_process_killed_very_often_loses_nothing_that_was_acknowledged(fast_path):
    kill_often(str(fast_path / "store"), SOAK_KILLS)
