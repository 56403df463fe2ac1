"""Savers, readers, collectors and an expirer on one store, killed and stopped at random, and what must be left."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import ckstore
from tests.support import workers
from tests.support.children import Child
from tests.support.marks import Delete, Mark, Save
from tests.support.states import CHUNK, Key, assert_whole_and_tidy, keys

KEEP = 3
"""Checkpoints of each run that the expirer leaves."""
KILL, STOP = 0.02, 0.04
"""How likely a child is killed or stopped when a message of it arrives."""


@dataclass
class Ledger:
    """What was begun and what was acknowledged, by anybody."""

    begun: set[Key] = field(default_factory=set)
    saved: set[Key] = field(default_factory=set)
    delete_begun: set[Key] = field(default_factory=set)
    deleted: set[Key] = field(default_factory=set)

    def heed(self, message: Any) -> None:
        """Note a message of a child; raises what a child has raised."""
        match message:
            case BaseException():
                raise message
            case Mark(Save(key), acknowledged):
                (self.saved if acknowledged else self.begun).add(key)
            case Mark(Delete(key), acknowledged):
                (self.deleted if acknowledged else self.delete_begun).add(key)
            case workers.EXPIRED, Save(key):
                self.begun.discard(key)

    def check(self, store: ckstore.Store) -> None:
        """Nothing is lost, nothing is there that nobody saved, nothing twice; no byte is wrong, and none is stray."""
        found = keys(store)
        assert len(found) == len(set(found))
        assert self.saved - self.delete_begun - set(found) == set(), "acknowledged and lost"
        assert set(found) - (self.begun - self.deleted) == set(), "not saved, or deleted, and there"
        assert_whole_and_tidy(store)


@dataclass
class Role:
    """A place that is filled again when its child was killed. work: makes its next child."""

    kind: str
    work: Callable[[], Child]
    child: Child = field(init=False)
    sleeps: int = 0
    """Messages of others until it wakes; 0: it is awake."""

    def __post_init__(self) -> None:
        self.child = self.work()


class Fire:
    """One run. REQUIRES: a store at `path`."""

    def __init__(self, path: str, seed: int) -> None:
        self.path, self.rng = path, random.Random(seed)
        self.ledger, self.counts = Ledger(), Counter[str]()
        self.roles = [Role("saver", lambda run=run: self._saver(run)) for run in "abcd"]
        self.roles += [self._seeded("reader", workers.reader) for _ in range(2)]
        self.roles += [self._seeded("collector", workers.collector) for _ in range(2)]
        self.roles.append(Role("expirer", lambda: Child(workers.expirer, path, KEEP)))

    def _seeded(self, kind: str, work: Callable[..., None]) -> Role:
        return Role(kind, lambda: Child(work, self.path, self.rng.randrange(1 << 32)))

    def _saver(self, run: str) -> Child:
        step = max((step for name, step in self.ledger.begun if name == run), default=-1) + 1
        return Child(workers.saver, self.path, run, step)

    def burn(self, n_commits: int) -> None:
        """Go on until so many saves are acknowledged; then let everybody come to an end."""
        while len(self.ledger.saved) < n_commits:
            self._once()
        Path(workers.stop_file(self.path)).touch()
        for role in self.roles:
            self._wake(role)
            for message in role.child.rest():
                self._heed(role, message)
            assert role.child.process.exitcode == 0, role.kind
        self.counts["commits"] = len(self.ledger.saved) + len(self.ledger.deleted)

    def _once(self) -> None:
        """Take the messages that are there, then wake, stop or kill somebody."""
        by_pipe = {role.child.messages: role for role in self.roles}
        for pipe in wait(list(by_pipe), timeout=60):
            role = by_pipe[pipe]
            self._heed(role, role.child.message())
            for sleeper in [other for other in self.roles if other.sleeps]:
                sleeper.sleeps -= 1
                if not sleeper.sleeps:
                    self._wake(sleeper)
            self._harm(role)

    def _heed(self, role: Role, message: Any) -> None:
        assert message is not None, f"{role.kind} came to an end by itself"
        self.ledger.heed(message)
        if role.kind == "collector":
            self.counts["gc runs"] += 1
        elif role.kind == "reader":
            self.counts["reads"] += message

    def _harm(self, role: Role) -> None:
        luck = self.rng.random()
        if luck < KILL:
            role.child.process.kill()
            for message in role.child.rest():
                self._heed(role, message)
            role.child, role.sleeps = role.work(), 0
            self.counts["kills"] += 1
        elif luck < KILL + STOP and sum(not other.sleeps for other in self.roles) > 1:  # or nobody would wake it
            os.kill(role.child.process.pid, signal.SIGSTOP)
            role.sleeps = self.rng.randint(5, 60)
            self.counts["stops"] += 1

    def _wake(self, role: Role) -> None:
        role.sleeps = 0
        with suppress(ProcessLookupError):  # at the end it may have ended before
            os.kill(role.child.process.pid, signal.SIGCONT)

    def close(self) -> None:
        """No child outlives the run."""
        for role in self.roles:
            role.child.process.kill()
            role.child.process.join()


def under_fire(path: str, n_commits: int, seed: int) -> Counter[str]:
    """Make a store, work on it until so many commits are acknowledged, and look at what is left."""
    with ckstore.open(path, create=True, chunk_elements=CHUNK), ExitStack() as stack:
        fire = Fire(path, seed)
        stack.callback(fire.close)
        fire.burn(n_commits)
    with ckstore.open(path) as store:
        fire.ledger.check(store)
    return fire.counts
