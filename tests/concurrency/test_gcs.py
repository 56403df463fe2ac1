"""Garbage collections beside each other and after each other's death: none frees what another still guards."""

from __future__ import annotations

import pytest

import ckstore
from ckstore.engine.gc import collector, trim
from ckstore.engine.gc.collector import Waiting, collect
from ckstore.format import envelope
from tests.support.states import assert_same, assert_whole_and_tidy, keys, state_of, strays
from tests.support.stores import Killed, before_commit, condemn, dies_at, once, save


@pytest.fixture
def two_of_three(open_store):
    """A store of three checkpoints of which the first was deleted."""
    store = open_store()
    for step in range(3):
        save(store, "main", step)
    save(store, "other", 0)
    store.delete("other@0")
    return store


def waiting(act=lambda: None) -> Waiting:
    """Ten pretended seconds of grace; the first pause does `act`."""
    now = iter(range(100))
    pauses = iter([act])

    def pause(_: float) -> None:
        next(pauses, lambda: None)()

    return Waiting(10, clock=lambda: float(next(now)), sleep=pause)


def test_a_gc_waits_for_a_saver_that_began_before_it_and_then_goes_on(two_of_three, open_store):
    writer = open_store()._session.repo.writer()
    report = collect(two_of_three._session, waiting(lambda: writer.__exit__(None, None, None)))
    assert report.waiting_writers == 0
    assert report.freed_bytes > 0
    assert_whole_and_tidy(two_of_three)


def test_a_gc_gives_up_waiting_when_its_grace_is_over_and_the_next_one_finishes(two_of_three, open_store):
    with open_store()._session.repo.writer():
        report = collect(two_of_three._session, waiting())
        assert (report.waiting_writers, report.deleted_objects) == (1, 0)
    assert two_of_three.gc(grace_s=0).deleted_objects > 0
    assert strays(two_of_three) == set()


def test_a_gc_does_not_wait_for_a_saver_that_began_after_its_condemnation(two_of_three, open_store):
    condemn(two_of_three)
    with open_store()._session.repo.writer():
        assert two_of_three.gc(grace_s=0).freed_bytes > 0


def test_what_another_gc_deleted_meanwhile_is_no_trouble(two_of_three, open_store):
    other = open_store()
    writer = open_store()._session.repo.writer()

    def finish_first() -> None:
        writer.__exit__(None, None, None)
        assert other.gc(grace_s=0).freed_bytes > 0

    collect(two_of_three._session, waiting(finish_first))
    assert_whole_and_tidy(two_of_three)


def test_what_another_gc_deleted_just_before_the_wait_is_no_trouble(two_of_three, open_store, monkeypatch):
    wait, other = collector._wait, open_store()

    def late(*args):
        monkeypatch.setattr(collector, "_wait", wait)
        other.gc(grace_s=0)
        return wait(*args)

    monkeypatch.setattr(collector, "_wait", late)
    two_of_three.gc(grace_s=0)
    assert_whole_and_tidy(two_of_three)


def test_a_gc_frees_nothing_that_another_condemned_while_it_waited(two_of_three, open_store):
    """Else it would give up a saver that began between the two condemnations, for whom nobody has waited."""
    other, saver = open_store(), open_store()
    first = open_store()._session.repo.writer()
    between: list[ckstore.store.writer.Writer] = []

    def condemn_more() -> None:
        between.append(saver._session.repo.writer())
        other.delete("main@0")
        assert other.gc(grace_s=0).waiting_writers == 2
        first.__exit__(None, None, None)

    collect(two_of_three._session, waiting(condemn_more))
    extra = envelope.encode_map({"kept": 1})
    with between[0] as writer:
        root = writer.commit(lambda root: ckstore.store.writer.replace_root(root, extra=extra), {})
    assert root.extra == extra
    assert_whole_and_tidy(two_of_three)


def test_a_gc_that_lost_its_number_to_a_save_chooses_again(two_of_three, open_store):
    """It must neither condemn what the save has just published nor undo it."""
    saver = open_store()
    before_commit(two_of_three, lambda: save(saver, "main", 3))
    two_of_three.gc(grace_s=0)
    assert keys(saver)[-1] == ("main", 3)
    assert_whole_and_tidy(two_of_three)


def test_a_gc_spares_what_came_back_to_life_after_its_condemnation(two_of_three, open_store):
    saver = open_store()
    state = {"again": state_of("other", 0)["model"]["weight"]}
    before_commit(saver, lambda: two_of_three.gc(grace_s=0))
    saver.save(state, run="again", step=0)
    two_of_three.gc(grace_s=0)
    assert_same(open_store().load("again@0"), state)
    assert two_of_three.verify("data").ok


def kill_gc(victim: ckstore.Store, n_steps: int, after: bool) -> None:
    """A gc that dies at its n-th root step, before or after that root was published."""
    dies_at(victim, n_steps, after)
    with pytest.raises(Killed):
        victim.gc(grace_s=0)


def test_roots_that_another_gc_trims_meanwhile_are_no_trouble(two_of_three, open_store, monkeypatch):
    monkeypatch.setattr(trim, "KEEP_ROOTS", 2)
    monkeypatch.setattr(trim, "KEEP_ROOTS_S", 0.0)
    other = open_store()
    once(two_of_three._session.repo.fs, "modified", lambda: other.gc(grace_s=0))
    two_of_three.gc(grace_s=0)
    assert_whole_and_tidy(two_of_three)


@pytest.mark.parametrize("n_steps", range(3))
@pytest.mark.parametrize("after", [False, True])
def test_a_gc_killed_at_any_root_step_is_finished_by_the_next(n_steps, after, two_of_three, open_store):
    """Steps: condemn, delete, clear; killed before or after the root was published."""
    kill_gc(open_store(), n_steps, after)
    save(two_of_three, "main", 3)
    assert two_of_three.gc(grace_s=0).waiting_writers == 0
    assert strays(two_of_three) == set()
    assert_whole_and_tidy(two_of_three)


def test_what_a_killed_gc_was_deleting_counts_for_the_next(two_of_three, open_store):
    two_of_three.gc(grace_s=0)
    two_of_three.delete("main@2")
    kill_gc(open_store(), 1, after=True)
    doomed, before = two_of_three._session.repo.root().deleting, stored(two_of_three)
    planned, report = two_of_three.gc(dry_run=True), two_of_three.gc(grace_s=0)
    assert report.deleted_objects == planned.condemned_objects == len(doomed) > 0
    assert report.freed_bytes == planned.condemned_bytes == before - stored(two_of_three)


def stored(store: ckstore.Store) -> int:
    """Bytes of the store without its roots."""
    stats = store.stats()
    return stats.stored_bytes - stats.root_bytes


def test_what_was_deleted_before_a_gc_was_given_up_counts(two_of_three, open_store, monkeypatch):
    kill_gc(open_store(), 1, after=True)
    doomed = two_of_three._session.repo.root().deleting
    once(collector, "_condemn", lambda: (_ for _ in ()).throw(ckstore.WriterExpired("given up")))
    assert two_of_three.gc(grace_s=0).deleted_objects == len(doomed) > 0


def test_roots_that_are_trimmed_count(two_of_three, monkeypatch):
    monkeypatch.setattr(trim, "KEEP_ROOTS", 2)
    monkeypatch.setattr(trim, "KEEP_ROOTS_S", -1.0)
    two_of_three.gc(grace_s=0)
    for i in range(8):
        two_of_three.annotate("main@2", meta={"i": i})
    planned, before = two_of_three.gc(dry_run=True), roots_of(two_of_three)
    report = two_of_three.gc(grace_s=0)
    gone = before.keys() - roots_of(two_of_three).keys()
    assert report.deleted_objects == planned.condemned_objects == len(gone) > 3
    assert report.freed_bytes == planned.condemned_bytes == sum(before[name] for name in gone)


def roots_of(store: ckstore.Store) -> dict[str, int]:
    return store._session.repo.fs.sizes("root")


def test_what_a_killed_gc_was_deleting_goes_even_if_a_saver_holds_up_the_next(two_of_three, open_store):
    kill_gc(open_store(), 1, after=True)
    assert two_of_three._session.repo.root().deleting
    with open_store()._session.repo.writer():
        two_of_three.delete("main@0")
        report = two_of_three.gc(grace_s=0)
        assert report.waiting_writers == 1
        assert two_of_three._session.repo.root().deleting == []


@pytest.mark.parametrize("n_files", range(4))
def test_a_gc_killed_between_two_deletions_is_finished_by_the_next(n_files, two_of_three, open_store):
    victim = open_store()
    fs = victim._session.repo.fs
    remove, left = fs.remove, [n_files]

    def dying(path):
        if path.startswith(("pack", "manifest", "closure", "segment")):
            if not left[0]:
                raise Killed
            left[0] -= 1
        remove(path)

    fs.remove = dying
    with pytest.raises(Killed):
        victim.gc(grace_s=0)
    save(two_of_three, "main", 3)
    two_of_three.gc(grace_s=0)
    assert strays(two_of_three) == set()
    assert_whole_and_tidy(two_of_three)


def test_no_file_goes_before_the_root_that_says_so_is_durable(two_of_three, open_store):
    """A gc that takes over from one that died between the link and the sync of its root cannot trust that root yet."""
    victim = open_store()
    fs, calls = victim._session.repo.fs, []
    publish = victim._session.repo.roots.publish

    def dying(root, temporary):
        if root.deleting:
            once(fs, "sync_dir", lambda: (_ for _ in ()).throw(Killed))
        return publish(root, temporary)

    victim._session.repo.roots.publish = dying
    with pytest.raises(Killed):
        victim.gc(grace_s=0)
    mine = two_of_three._session.repo.fs
    for name in ("sync_dir", "remove"):
        call = getattr(mine, name)
        setattr(mine, name, lambda path, name=name, call=call: (calls.append((name, path)), call(path))[1])
    two_of_three.gc(grace_s=0)
    gone = [path for name, path in calls if name == "remove"]
    assert gone
    assert calls.index(("sync_dir", "root")) < calls.index(("remove", gone[0]))
