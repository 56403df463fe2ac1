"""Processes on one store at once: savers, readers, collectors, an expirer; killed, stopped, or left to finish."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from typing import Any

import pytest

import ckstore
from tests.support.children import (
    Child,
    children,
    collect_until,
    delete_until,
    event,
    read_until,
    save_steps,
)
from tests.support.marks import Delete, Mark, Save
from tests.support.states import CHUNK, assert_whole_and_tidy, keys

SEED = int(os.environ.get("CKSTORE_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)


def acknowledged(messages: list[Any], kind: type) -> set[tuple[str, int]]:
    for message in messages:
        assert not isinstance(message, BaseException), message
    return {m.what.key for m in messages if isinstance(m, Mark) and m.acknowledged and isinstance(m.what, kind)}


@pytest.fixture
def path(fast_path):
    with ckstore.open(fast_path / "store", create=True, chunk_elements=CHUNK):
        return str(fast_path / "store")


def work_together(path: str, savers: list[Child], n_readers: int, runs_to_thin: list[str]) -> None:
    """Savers beside readers, two collectors and an expirer; then what was acknowledged is there, and nothing else."""
    stop = event()
    readers = [Child(read_until, path, stop) for _ in range(n_readers)]
    collectors = [Child(collect_until, path, stop) for _ in range(2)]
    expirer = Child(delete_until, path, stop, runs_to_thin, 2)
    with children(*savers, *readers, *collectors, expirer):
        saved = acknowledged([m for saver in savers for m in saver.rest()], Save)
        stop.set()
        deleted = acknowledged(list(expirer.rest()), Delete)
        for child in (*readers, *collectors):
            assert all(isinstance(count, int) for count in child.rest())
    with ckstore.open(path) as store:
        assert set(keys(store)) == saved - deleted
        assert len(keys(store)) == len(set(keys(store)))
        assert_whole_and_tidy(store)


def test_four_savers_of_their_own_runs_beside_readers_collectors_and_an_expirer(path):
    savers = [Child(save_steps, path, run, list(range(10))) for run in "abcd"]
    work_together(path, savers, 2, ["c", "d"])


def test_four_savers_of_one_run_store_the_same_chunks_over_and_over(path):
    savers = [Child(save_steps, path, "same", list(range(i, 40, 4))) for i in range(4)]
    work_together(path, savers, 1, ["nothing"])


def test_savers_make_the_store_at_the_same_time(fast_path):
    path = str(fast_path / "store")
    savers = [Child(save_steps, path, run, [0, 1]) for run in "abcd"]
    with children(*savers):
        saved = acknowledged([m for saver in savers for m in saver.rest()], Save)
    with ckstore.open(path) as store:
        assert set(keys(store)) == saved == {(run, step) for run in "abcd" for step in (0, 1)}
        assert_whole_and_tidy(store)


def test_savers_that_are_stopped_and_given_up_go_on_when_they_wake(path):
    """A laptop that sleeps in the middle of a save: gc need not wait for it, and it publishes nothing that is gone."""
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    saver = Child(save_steps, path, "a", list(range(12)))
    with children(saver), ckstore.open(path) as store:
        marks = []
        while (mark := saver.message()) is not None:
            assert isinstance(mark, Mark), mark
            marks.append(mark)
            if not mark.acknowledged and rng.random() < 0.7:
                with contextlib.suppress(ProcessLookupError):  # it may have come to its end by now
                    os.kill(saver.process.pid, signal.SIGSTOP)
                    for ck in store.checkpoints()[:-1]:
                        store.delete(ck)
                    store.gc(grace_s=0, expire_writers=True)
                    os.kill(saver.process.pid, signal.SIGCONT)
        assert len(acknowledged(marks, Save)) == 12
        assert keys(store)[-1] == ("a", 11)
        assert_whole_and_tidy(store)
