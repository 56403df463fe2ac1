"""Saves and loads from signal handlers, at the end of the interpreter, and on a store that is closed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import ckstore
from ckstore.engine import batching
from ckstore.store import threads
from tests.support.states import assert_same, assert_whole_and_tidy, keys, state_of
from tests.support.stores import once, save

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def handled():
    """Sets what SIGUSR1 does."""
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda act: signal.signal(signal.SIGUSR1, lambda *_: act())
    signal.signal(signal.SIGUSR1, before)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)


PLACES = {
    "the sync of a directory": lambda session: (session.repo.fs, "sync_dir"),
    "the publish": lambda session: (session.repo.fs, "publish"),
    "a head": lambda session: (session.repo.objects, "_read_head"),
    "the cache of bases": lambda session: (session.bases, "keep_only"),
    "the parents": lambda session: (session, "remember"),
    "the packs": lambda session: (session.repo.packs, "close_idle"),
    "the writer": lambda session: (session.repo, "writer"),
}
"""Where a save may be when a signal comes: (object, method)."""


@pytest.mark.parametrize("place", PLACES)
def test_a_handler_that_saves_during_a_save_ends_and_so_does_the_save(open_store, handled, place):
    save(open_store(), "main", 0)
    store = open_store()
    handled(lambda: (save(store, "handler", 0), assert_same(store.load("handler@0"), state_of("handler", 0))))
    once(*PLACES[place](store._session), interrupt)
    save(store, "main", 1)
    assert sorted(keys(store)) == [("handler", 0), ("main", 0), ("main", 1)]
    assert_whole_and_tidy(store)


def test_handlers_that_save_during_handlers_that_save_end(open_store, handled):
    store, left = open_store(), [1, 2, 3]
    save(store, "main", 0)

    def act() -> None:
        step = left.pop()
        if left:
            once(store._session.repo.fs, "sync_dir", interrupt)
        save(store, "handler", step)

    handled(act)
    once(store._session.repo.fs, "sync_dir", interrupt)
    save(store, "main", 1)
    assert len(keys(store)) == 5
    assert_whole_and_tidy(store)


def test_a_handler_that_saves_while_a_lock_is_held_that_its_threads_need_ends(open_store, handled):
    store = open_store()
    save(store, "main", 0)
    repo = store._session.repo

    def begun() -> None:
        with repo.objects._lock, repo.segments._lock, repo.packs._lock, store._session.bases._lock:
            interrupt()

    handled(lambda: save(store, "handler", 0))
    once(repo, "writer", begun)
    save(store, "main", 1)
    assert_whole_and_tidy(store)


def test_a_submit_interrupted_by_a_submit_ends():
    """The first holds a lock of all pools, also of those that the second makes."""
    done = []

    class Pool(ThreadPoolExecutor):
        def submit(self, work, *args, **more):
            done.append(threads.submit(ThreadPoolExecutor(1), threading.get_ident).result())
            return super().submit(work, *args, **more)

    with Pool(1) as pool:
        assert threads.submit(pool, int, "7").result() == 7
    assert done
    assert done[0] != threading.get_ident()


def test_a_pool_that_takes_no_more_is_done_without():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    assert threads.submit(pool, int, "7").result() == 7
    with pytest.raises(ValueError, match="x"):
        threads.submit(pool, int, "x").result()


def test_where_no_thread_can_start_the_work_is_done_here_and_once_at_a_time(monkeypatch):
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    monkeypatch.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("no new thread")))
    assert threads.submit(pool, threading.get_ident).result() == threading.get_ident()
    nested = threads.submit(pool, lambda: threads.submit(pool, int, "7").result())
    with pytest.raises(RuntimeError, match="no new thread"):
        nested.result()


def test_a_pool_that_can_start_no_thread_is_an_error_and_the_next_submit_is_as_ever(monkeypatch):
    """Unlike one that ends with the interpreter: work on one thread would hide that there are too many."""
    with ThreadPoolExecutor(1) as pool:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("can't start")))
            with pytest.raises(RuntimeError, match="can't start"):
                threads.submit(pool, int, "7")
        assert threads.submit(pool, int, "8").result() == 8


AT_EXIT = """
import atexit, sys
import numpy as np, ckstore
store = ckstore.open(sys.argv[1])
state = {"w": np.arange(300_000.0)}
def last():
    store.save(state, run="last")
    assert np.array_equal(store.load("last@0")["w"], state["w"])
    print("saved")
atexit.register(last)
"""


def test_a_save_and_a_load_while_the_interpreter_ends(open_store):
    store = open_store()
    save(store, "main", 0)
    child = subprocess.run([sys.executable, "-c", AT_EXIT, store.path], capture_output=True, text=True, check=True)
    assert child.stdout == "saved\n", child.stderr
    assert keys(store) == [("main", 0), ("last", 0)]


@pytest.mark.parametrize("verb", ["save", "load"])
def test_a_store_closed_by_another_thread_meanwhile_is_a_usage_error(open_store, monkeypatch, verb):
    store = open_store()
    state = {str(i): np.random.default_rng(i).normal(size=9000) for i in range(9)}
    store.save(state)
    monkeypatch.setenv("CKSTORE_THREADS", "1")
    monkeypatch.setattr(batching, "BATCH_BYTES", 1)
    mine = open_store()
    mine._session.map = _closing(mine)
    with pytest.raises(ckstore.UsageError, match="open it again"):
        mine.load("latest") if verb == "load" else mine.save({name: value + 1 for name, value in state.items()})
    assert mine._session.repo.fs.names("lease") == []


def _closing(store):
    """`map` that has its store closed when it has the first result."""
    whole = store._session.map

    def closed_meanwhile(*args):
        results = whole(*args)
        yield next(results)
        closer = threading.Thread(target=store.close)
        closer.start()
        closer.join()
        yield from results

    return closed_meanwhile
