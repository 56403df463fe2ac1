"""Processes that work on a store and tell, by pipe, what they begin and what has been acknowledged to them.

A server that has imported everything forks them, so that starting one takes milliseconds.
"""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import ckstore
from tests.support.marks import Delete, Mark, Save
from tests.support.states import CHUNK, assert_same, keys, state_of
from tests.support.stores import save

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["ckstore", "tests.support.children"])

Tell = Callable[[Any], None]


class Child:
    """A child at work; its messages arrive in the order in which it sent them."""

    def __init__(self, work: Callable[..., None], *args: Any) -> None:
        here, there = _context.Pipe(duplex=False)
        self.messages: Connection = here
        self.process: BaseProcess = _context.Process(target=_run, args=(work, there, args), daemon=True)
        self.process.start()
        there.close()

    def message(self) -> Any:
        """The next message; None after the last one."""
        try:
            return self.messages.recv()
        except EOFError:
            return None

    def rest(self) -> Iterator[Any]:
        """All further messages, until the child's end."""
        while (message := self.message()) is not None:
            yield message
        self.process.join(60)
        self.messages.close()


@contextmanager
def children(*made: Child) -> Iterator[tuple[Child, ...]]:
    """Whatever happens, no child outlives this block."""
    try:
        yield made
    finally:
        for child in made:
            child.process.kill()
            child.process.join()


def _run(work: Callable[..., None], pipe: Connection, args: tuple[Any, ...]) -> None:
    try:
        work(pipe.send, *args)
    except BaseException as error:
        pipe.send(error)
        raise


def _marked(tell: Tell, what: Any, act: Callable[[], Any]) -> None:
    tell(Mark(what, acknowledged=False))
    act()
    tell(Mark(what, acknowledged=True))


def do_anything(tell: Tell, path: str, seed: int, step: int, most: int) -> None:
    """Save, delete and collect at random until killed; at most `most` checkpoints at a time, steps from `step` on."""
    rng = random.Random(seed)
    with ckstore.open(path, create=True, chunk_elements=CHUNK) as store:
        while True:
            there = keys(store)
            verb = rng.choices(("save", "delete", "gc"), (5, 2 if there else 0, 2))[0]
            if len(there) >= most:
                verb = "delete"
            if verb == "save":
                run, step = rng.choice("ab"), step + 1
                level = rng.choice(("fast", "balanced"))
                _marked(tell, Save((run, step)), lambda key=(run, step), level=level: save(store, *key, level=level))
            elif verb == "delete":
                run, gone = rng.choice(there)
                _marked(tell, Delete((run, gone)), lambda run=run, gone=gone: store.delete(f"{run}@{gone}"))
            else:
                archive = rng.choice((None, 0, 2))
                _marked(tell, "gc", lambda archive=archive: store.gc(grace_s=0, archive=archive))


def save_steps(tell: Tell, path: str, run: str, steps: list[int]) -> None:
    """Save some steps of one run."""
    with ckstore.open(path, create=True, chunk_elements=CHUNK) as store:
        for step in steps:
            _marked(tell, Save((run, step)), lambda step=step: save(store, run, step))


def read_until(tell: Tell, path: str, stop: Any) -> None:
    """Load and compare whatever there is, again and again."""
    n = 0
    with ckstore.open(path) as store:
        while not stop.is_set():
            for ck in store.checkpoints()[-5:]:
                try:
                    assert_same(store.load(ck), state_of(ck.run, ck.step), ck.ref)
                except ckstore.CheckpointDeleted:
                    continue
                except ckstore.CheckpointNotFound:
                    continue
                n += 1
    tell(n)


def collect_until(tell: Tell, path: str, stop: Any, expire: bool = False) -> None:
    """Collect again and again."""
    n = 0
    with ckstore.open(path) as store:
        while not stop.is_set():
            n += store.gc(grace_s=0, expire_writers=expire).deleted_objects
    tell(n)


def delete_until(tell: Tell, path: str, stop: Any, runs: list[str], keep: int) -> None:
    """Delete all but the newest `keep` of some runs, again and again."""
    with ckstore.open(path) as store:
        while not stop.is_set():
            for run in runs:
                for ck in store.checkpoints(run)[:-keep]:
                    _marked(tell, Delete((ck.run, ck.step)), lambda ck=ck: store.delete(ck))


def event() -> Any:
    """An event that children can be given."""
    return _context.Event()
