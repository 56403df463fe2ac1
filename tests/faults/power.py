"""Savers on a disk that loses its power, and what must be on it when it is mounted again."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

import ckstore
from tests.support.children import Child, children, do_anything
from tests.support.marks import Promise
from tests.support.mounts import Disk
from tests.support.states import CHUNK

STORE = "runs/store"


def cut_once(disk: Disk, rng: random.Random, promise: Promise, step: int) -> tuple[int, int]:
    """Let a child work for a random while and cut the power: (last step begun, commits acknowledged)."""
    with children(Child(do_anything, str(disk.path / STORE), rng.randrange(1 << 32), step, 4)) as (child,):
        marks = [child.message() for _ in range(rng.randint(1, 8))]
        time.sleep(rng.uniform(0, 0.02))  # any moment is right
        disk.cut_power()
        marks.extend(child.rest())
    *marks, end = marks
    assert isinstance(end, ckstore.StorageError | OSError), end  # the child must notice that its disk is gone
    n_commits = promise.heed_all(marks)
    return promise.last_step(step), n_commits


def cut_often(disk: Disk, n: int, seed: int) -> Counter[str]:
    """Cut the power n times, and look at the store each time the disk is back."""
    rng, promise, step, n_commits = random.Random(seed), Promise(made=False), 0, 0
    for i in range(n):
        step, more = cut_once(disk, rng, promise, step)
        n_commits += more
        disk.unmount()
        disk.mount()
        # whoever was told of no commit was not told of a store either
        how: dict[str, Any] = {} if n_commits else {"create": True, "chunk_elements": CHUNK}
        with ckstore.open(disk.path / STORE, **how) as store:
            promise.look(store, f"power cut {i} of seed {seed}")
    return Counter({"power cuts": n, "commits": n_commits})
