"""A file system that is really full, to the last block: clean errors, nothing lost, and it goes on with more room."""

from __future__ import annotations

import errno
import os
import random
from collections import Counter
from pathlib import Path

import pytest

import ckstore
from ckstore.engine.gc import trim
from tests.support.mounts import small_tmpfs
from tests.support.states import CHUNK, Key, assert_exact, assert_whole_and_tidy, keys
from tests.support.stores import save

SIZE = 2 << 20
BLOCK = 4096
OTHERS = 160
"""Blocks that belong to somebody else, who gives them up when the disk is full: a delete needs some to begin with, and
the first gc writes the deltas anew whose bases went."""
SEED = int(os.environ.get("CKSTORE_TEST_SEED", "20"))


def must_be_full(error: ckstore.StorageError) -> None:
    """No other error may come of a full disk."""
    assert error.errno == errno.ENOSPC, repr(error)


def fill_up(store: ckstore.Store, step: int) -> int:
    """Save until there is no room; the step that did not fit."""
    while True:
        try:
            save(store, "main", step)
        except ckstore.StorageError as error:
            must_be_full(error)
            return step
        step += 1


def ballast(path: Path, n_blocks: int) -> None:
    """Take so many blocks."""
    path.write_bytes(bytes(max(0, n_blocks) * BLOCK))


def n_free(path: Path) -> int:
    """Blocks."""
    return os.statvfs(path).f_bavail


def try_all(store: ckstore.Store, step: int) -> tuple[set[Key], set[Key]]:
    """Change the store in every way with hardly any room: (what may have been added, removed)."""
    there = keys(store)
    added, removed = set[Key](), set[Key]()
    for verb, what, changes in (
        (lambda: store.annotate(f"main@{there[-1][1]}", metrics={"step": step}), set(), added),
        (lambda: save(store, "main", step), {("main", step)}, added),
        (lambda: store.delete(f"main@{there[0][1]}"), {there[0]}, removed),
        (lambda: store.gc(grace_s=0), set(), removed),
    ):
        try:
            verb()
            changes |= what
        except ckstore.StorageError as error:
            must_be_full(error)
            if error.details.get("outcome") == "unknown":
                changes |= what
    return added, removed


def fill_and_go_on(store: ckstore.Store, path: Path, step: int, n_blocks_left: int) -> int:
    """Fill the disk to so many blocks, try everything, make room, and see that all is there; the next step."""
    ballast(path / "others", OTHERS)
    step = fill_up(store, step)
    ballast(path / "filler", n_free(path) - n_blocks_left)
    before = set(keys(store))
    added, removed = try_all(store, step)
    assert before - removed <= set(keys(store)) <= before | added
    assert_exact(store)
    for name in ("filler", "others"):
        (path / name).unlink()
    for i, key in enumerate(keys(store)[:-1]):
        store.delete(f"main@{key[1]}")
        if i % 4 == 0:
            store.gc(grace_s=0)
    assert_whole_and_tidy(store)
    save(store, "main", step + 1, parent=None)
    store.delete("main@" + str(keys(store)[0][1]))
    store.gc(grace_s=0)
    return step + 2


def fill_often(path: Path, n: int, seed: int) -> Counter[str]:
    """Fill one small disk n times, each time to another block."""
    rng, step = random.Random(seed), 1
    with pytest.MonkeyPatch.context() as patch, small_tmpfs(path, SIZE):
        patch.setattr(trim, "KEEP_ROOTS", 5)  # this disk has no room for those of an hour
        patch.setattr(trim, "KEEP_ROOTS_S", -1.0)
        with ckstore.open(path / "store", create=True, chunk_elements=CHUNK) as store:
            save(store, "main", 0)
            for _ in range(n):
                step = fill_and_go_on(store, path, step, rng.randrange(24))
    return Counter({"full disks": n, "commits": step})


def test_a_disk_that_fills_up_again_and_again(tmp_path):
    assert fill_often(tmp_path / "small", 3, SEED)["full disks"] == 3


@pytest.mark.parametrize("n_blocks_left", range(4))
def test_a_disk_without_a_block_left_can_be_read(tmp_path, n_blocks_left):
    path = tmp_path / "small"
    with small_tmpfs(path, SIZE), ckstore.open(path / "store", create=True, chunk_elements=CHUNK) as store:
        for step in range(2):
            save(store, "main", step)
        ballast(path / "filler", n_free(path) - n_blocks_left)
        assert_exact(store)
        with ckstore.open(path / "store", readonly=True) as again:
            assert_exact(again)
            assert again.verify(level="data").ok
