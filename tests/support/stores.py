"""Several hands on one store: who does what between another's begin and commit is up to the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ckstore
from ckstore.engine import reach
from ckstore.engine.gc import collector, garbage
from ckstore.store.leases import Observer
from tests.support.states import CHUNK, Key, state_of

Open = Callable[[], ckstore.Store]


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Open]:
    """Opens the same new store as often as it is called, each time with caches of its own."""
    opened: list[ckstore.Store] = []

    def open_again() -> ckstore.Store:
        opened.append(ckstore.open(tmp_path / "store", create=True, chunk_elements=CHUNK))
        return opened[-1]

    yield open_again
    for store in opened:
        store.close()


N_FAST = 4
"""Checkpoints of run main in `fast_store`."""


@pytest.fixture
def fast_store(fast_path: Path) -> Iterator[ckstore.Store]:
    """Four checkpoints of one run, and one of another, which were saved in a hurry."""
    with ckstore.open(fast_path / "store", create=True, chunk_elements=CHUNK, level="fast") as opened:
        for step in range(N_FAST):
            save(opened, "main", step)
        save(opened, "other", 0)
        opened.gc(grace_s=0)
        yield opened


def save(store: ckstore.Store, run: str, step: int, **how: Any) -> Key:
    """Save the state that belongs to a run and a step."""
    store.save(state_of(run, step), run=run, step=step, **how)
    return run, step


def once(holder: Any, name: str, act: Callable[[], None]) -> None:
    """Do `act` just before the next call of `holder.name`, and never again."""
    call = getattr(holder, name)

    def late(*args: Any, **more: Any) -> Any:
        setattr(holder, name, call)
        act()
        return call(*args, **more)

    setattr(holder, name, late)


def before_commit(store: ckstore.Store, act: Callable[[], None]) -> None:
    """Do `act` when everything of the store's next commit is written but its root."""
    once(store._session.repo.roots, "publish", act)


def after_begin(store: ckstore.Store, act: Callable[[], None]) -> None:
    """Do `act` when the store's next writer has its lease and its root and nothing else."""
    repo = store._session.repo
    begin = repo.writer

    def slow() -> Any:
        repo.writer = begin
        writer = begin()
        act()
        return writer

    repo.writer = slow


def condemn(store: ckstore.Store) -> None:
    """The first root step of a gc, whatever it takes writers for."""
    repo = store._session.repo
    collector._condemn(repo, reach.Needs(repo), garbage.left_alone(repo, Observer(repo.fs)), collector.Done())


class Killed(BaseException):
    """The end of somebody who dies at a root step: nothing of theirs may catch it."""


def dies_at(store: ckstore.Store, n_steps: int, after: bool) -> None:
    """Whoever uses `store` is Killed at its n-th root step, before or after that root was published."""
    roots, left = store._session.repo.roots, [n_steps]
    publish = roots.publish

    def dying(root: Any, temporary: Any) -> Any:
        if left[0] or after:
            published = publish(root, temporary)
        if not left[0]:
            raise Killed
        left[0] -= 1
        return published

    roots.publish = dying


@pytest.fixture
def nobody_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every gc takes every writer for dead, as it would one on a host that has not been heard of for a while."""
    monkeypatch.setattr(Observer, "live", lambda *_: False)
