"""A child that saves, deletes and collects, killed again and again, and what must hold after each kill."""

from __future__ import annotations

import random
import time
from collections import Counter

import ckstore
from tests.support.children import Child, children, do_anything
from tests.support.marks import Promise


def kill_once(path: str, rng: random.Random, promise: Promise, step: int) -> tuple[int, int]:
    """Let a child work for a random while, kill it, and note what it had told: (last step begun, commits)."""
    seed = rng.randrange(1 << 32)
    with children(Child(do_anything, path, seed, step, 6)) as (child,):
        marks = [child.message() for _ in range(rng.randint(1, 12))]
        time.sleep(rng.uniform(0, 0.02))  # any moment is right
        child.process.kill()
        marks.extend(child.rest())
    n_commits = promise.heed_all(marks)
    return promise.last_step(step), n_commits


def kill_often(path: str, n: int, seed: int) -> Counter[str]:
    """Kill n children of one store, one after the other, and look at the store after each."""
    rng, promise, step, n_commits = random.Random(seed), Promise(), 0, 0
    for i in range(n):
        step, more = kill_once(path, rng, promise, step)
        n_commits += more
        with ckstore.open(path) as store:
            promise.look(store, f"kill {i} of seed {seed}")
    return Counter({"kills": n, "commits": n_commits})
