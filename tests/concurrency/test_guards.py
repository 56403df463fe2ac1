"""Guards behind other guards: each is tried with the ones before it out of the way."""

from __future__ import annotations

import msgspec
import pytest

import ckstore
from ckstore.engine import reach
from ckstore.engine.gc import garbage, trim
from ckstore.format.names import MANIFEST, PACK
from ckstore.format.records import Condemned
from ckstore.store.leases import Observer
from tests.support.door import Door
from tests.support.states import assert_whole_and_tidy, keys
from tests.support.stores import once, save

GONE = "1-00000000000000aa-1"


@pytest.fixture
def store(open_store):
    opened = open_store()
    save(opened, "main", 0)
    return opened


def change_root(store, **changes):
    with store._session.repo.writer() as writer:
        writer.commit(lambda root: msgspec.structs.replace(root, **changes), {})


def test_a_commit_that_needs_a_pack_no_segment_names_is_refused(store):
    with store._session.repo.writer() as writer, pytest.raises(ckstore.WriterExpired):
        writer.commit(lambda root: msgspec.structs.replace(root, extra={"x": 1}), {(PACK, GONE): []})


def test_a_commit_that_needs_what_is_being_deleted_is_refused(store):
    change_root(store, deleting=[Condemned(MANIFEST, GONE, 1)])
    with store._session.repo.writer() as writer, pytest.raises(ckstore.WriterExpired):
        writer.commit(lambda root: msgspec.structs.replace(root, extra={"x": 1}), {(MANIFEST, GONE): []})


def test_a_gc_deletes_nothing_that_a_checkpoint_needs_whatever_was_condemned(store):
    repo = store._session.repo
    change_root(store, condemned=[Condemned(kind, name, 1) for kind, name in reach.of_root(repo, repo.root())])
    store.gc(grace_s=0)
    assert repo.root().condemned == []
    assert_whole_and_tidy(store)


def test_a_writer_is_seen_before_it_looks_at_the_store(store):
    repo, seen = store._session.repo, []
    once(repo.roots, "newest", lambda: seen.extend(Observer(repo.fs).writers()))
    with repo.writer() as writer:
        assert seen == [writer.name]


def test_a_writer_that_was_given_up_before_it_saw_the_store_takes_another_name(store, open_store):
    repo, other = store._session.repo, open_store()

    def expire() -> None:
        other.delete("main@0")
        other.gc(grace_s=0, expire_writers=True)

    once(repo.roots, "newest", expire)
    with repo.writer() as writer:
        assert writer.epoch >= writer.root.floor > 0


def test_a_saver_that_begins_while_a_gc_looks_around_is_left_alone(store, open_store):
    repo, saver = store._session.repo, open_store()
    observer = Observer(repo.fs)
    begun = []

    def begin() -> None:
        begun.append(saver._session.repo.writer())
        begun[0].put(MANIFEST, repo.root())

    once(reach, "on_disk", begin)
    root = repo.root()
    dead = garbage.dead_of(repo, root, observer)
    assert dead == {}
    begun[0].__exit__(None, None, None)
    assert len(garbage.dead_of(repo, root, observer)) == 1


def test_a_lease_is_locked_before_it_can_be_seen(store, monkeypatch):
    from ckstore.store import leases

    repo, seen = store._session.repo, []

    class Watching(Door):
        def rename(self, source, path):
            super().rename(source, path)
            seen.append(Observer(repo.fs).live(path.rsplit("/")[-1]))

    monkeypatch.setattr(leases, "os", Watching())
    with repo.writer():
        assert seen == [True]


def test_a_feature_that_came_meanwhile_and_that_this_build_cannot_write_stops_the_commit(store, open_store):
    other = open_store()
    with store._session.repo.writer() as writer:
        change_root(other, readonly_compatible=["from-the-future"])
        with pytest.raises(ckstore.UnsupportedError):
            writer.commit(lambda root: msgspec.structs.replace(root, extra={"x": 1}), {})
    assert keys(store) == [("main", 0)]


def test_old_roots_go_only_after_the_root_that_says_so_is_durable(store, open_store, monkeypatch):
    """Another process may have published it and died before it could sync it."""
    monkeypatch.setattr(trim, "KEEP_ROOTS", 2)
    monkeypatch.setattr(trim, "KEEP_ROOTS_S", -1.0)
    for i in range(8):
        store.annotate("latest", meta={"i": i})
    change_root(store, trimmed_to=4)
    calls, fs = [], store._session.repo.fs
    for name in ("sync_dir", "remove"):
        call = getattr(fs, name)
        setattr(fs, name, lambda path, name=name, call=call: (calls.append((name, path)), call(path))[1])
    trim.remove_roots(store._session.repo, 4)
    assert [name for name, _ in calls] == ["sync_dir", "remove", "remove", "remove", "remove"]
    assert keys(open_store()) == [("main", 0)]
