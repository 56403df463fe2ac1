"""Garbage collections that see writers of other hosts: only time tells whether these live."""

from __future__ import annotations

import pytest

import ckstore
from ckstore.engine.gc.collector import Waiting, collect
from ckstore.format.names import CATALOG
from ckstore.format.records import CatalogPage
from ckstore.store import leases
from tests.support.states import strays
from tests.support.stores import save


class Clock:
    """Stands for the `time` module, and for a pause."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def waiting(self, grace_s: float) -> Waiting:
        return Waiting(grace_s, clock=self.monotonic, sleep=self.pause)


@pytest.fixture
def far_saver(open_store, monkeypatch):
    """(clock, writer) of a saver that wrote something, on a host that is not this one as its observers see it."""
    save(open_store(), "main", 0)
    writer = open_store()._session.repo.writer()
    writer.put(CATALOG, CatalogPage([]))
    clock = Clock()
    monkeypatch.setattr(leases, "time", clock)
    monkeypatch.setattr(leases, "this_host", lambda: "another boot")
    monkeypatch.setattr(leases, "this_machine", lambda: "another machine")
    yield clock, writer
    writer._lease.release()


def lost(store: ckstore.Store, writer: ckstore.store.writer.Writer) -> list[str]:
    return [name for name in strays(store) if writer.name in name and not name.startswith("lease")]


def test_a_gc_watches_the_lease_of_another_host_before_it_marks(far_saver, open_store):
    """With nothing else to condemn it would never wait, and never learn that the holder is dead."""
    clock, writer = far_saver
    report = collect(open_store()._session, clock.waiting(60))
    assert (report.unjudged_leases, report.deleted_objects) == (0, 1)
    assert clock.now == pytest.approx(60)
    assert lost(open_store(), writer) == []


def test_a_gc_stops_watching_when_the_counter_of_another_host_moves(far_saver, open_store):
    clock, writer = far_saver
    waiting = Waiting(60, clock=clock.monotonic, sleep=lambda seconds: (clock.pause(seconds), writer._lease.beat()))
    report = collect(open_store()._session, waiting)
    assert (report.unjudged_leases, report.deleted_objects) == (0, 0)
    assert clock.now < 1
    assert len(lost(open_store(), writer)) == 1


def test_a_gc_without_grace_says_which_leases_it_could_not_judge_and_the_next_of_this_store_goes_on(
    far_saver, open_store
):
    clock, writer = far_saver
    store = open_store()
    assert collect(store._session, clock.waiting(0)).unjudged_leases == 1
    assert store.gc(dry_run=True).unjudged_leases == 1
    clock.now += 61
    report = collect(store._session, clock.waiting(0))
    assert (report.unjudged_leases, report.deleted_objects) == (0, 1)
    assert lost(store, writer) == []


def test_a_gc_that_expires_writers_does_not_watch(far_saver, open_store):
    clock, _ = far_saver
    waiting = Waiting(60, True, clock.monotonic, clock.pause)
    assert collect(open_store()._session, waiting).unjudged_leases == 1
    assert clock.now == 0
