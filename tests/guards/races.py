"""Scenarios of races that no other suite has."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ckstore.engine import catalog, reach
from ckstore.engine.parent import load_closure, load_manifest
from ckstore.engine.republish import put_closure, republish, with_closure
from ckstore.errors import FormatError, NotFoundError, WriterExpired
from ckstore.format.names import root_path
from ckstore.store.roots import Roots
from tests.support.states import assert_same, assert_whole_and_tidy, keys, state_of
from tests.support.stores import Open, after_begin, before_commit, save


def _new_closure(store, ref):
    """Publishes a closure of the same rows for a checkpoint; what it is changed to."""
    repo = store._session.repo
    with repo.writer() as writer:
        entry = catalog.resolve(repo, writer.root, ref)
        rows, _ = load_closure(repo, entry)
        made, _ = put_closure(writer, rows, load_manifest(repo, entry, repo.root().chunk_elements)[1], {})
        republish(repo, writer, {entry.id: with_closure(made)}, {})
    return made


def of_two_new_closures_the_second_does_not_undo_the_first(open_store: Open) -> None:
    """Both were made from the same one."""
    slow, fast = open_store(), open_store()
    save(slow, "main", 0)
    made = []
    after_begin(slow, lambda: made.append(_new_closure(fast, "main@0")))
    _new_closure(slow, "main@0")
    assert fast._session.repo.root().inline[-1].closure == made[0]
    assert_whole_and_tidy(open_store())


def a_saver_that_lost_its_race_to_a_gc_is_expired(open_store: Open) -> None:
    """Between its first attempt and its second a gc has given it up."""
    saver, other = open_store(), open_store()
    save(saver, "main", 0)
    with saver._session.repo.writer() as writer:

        def drop() -> None:
            other.delete("main@0")
            other.gc(grace_s=0, expire_writers=True)

        before_commit(saver, drop)
        with pytest.raises(WriterExpired):
            writer.commit(lambda root: msgspec.structs.replace(root, extra={"late": 1}), {})
    assert keys(other) == []


def what_was_condemned_while_a_race_was_lost_comes_back(open_store: Open) -> None:
    """The first attempt saw nothing condemned; the root of the second condemns what the save needs."""
    saver, other = open_store(), open_store()
    save(other, "donor", 0)
    state = {"copied": state_of("donor", 0)["model"]["weight"]}

    def drop() -> None:
        other.delete("donor@0")
        other.gc(grace_s=0)

    before_commit(saver, drop)
    saver.save(state, run="main", step=0)
    repo = other._session.repo
    condemned = {(item.kind, item.name) for item in repo.root().condemned}
    assert not condemned & reach.of_root(repo, repo.root())
    other.gc(grace_s=0)
    assert_same(open_store().load("main@0"), state)


def an_answer_that_says_taken_once_does_not_commit_twice(open_store: Open) -> None:
    """The link was made, and the first answer lost; the request that was sent again finds the name taken."""
    store = open_store()
    fs = store._session.repo.fs
    link = fs.link

    def twice(source: str, path: str) -> None:
        fs.link = link
        link(source, path)
        link(source, path)

    fs.link = twice
    save(store, "main", 0)
    assert keys(store) == [("main", 0)]


def a_parent_that_is_gone_is_not_found_and_no_damage(open_store: Open) -> None:
    """What a gc has deleted since the writer began is no damage: the next attempt says what is the matter."""
    save(open_store(), "main", 0)
    saver, other = open_store(), open_store()

    def drop() -> None:
        other.delete("main@0")
        other.gc(grace_s=0, expire_writers=True)

    after_begin(saver, drop)
    with pytest.raises(NotFoundError):
        save(saver, "main", 1, parent="main@0")


def a_root_under_another_number_is_refused(open_store: Open) -> None:
    """As a clumsy copy may leave it."""
    store = open_store()
    save(store, "main", 0)
    fs = store._session.repo.fs
    Path(fs.locate(root_path(3))).write_bytes(fs.read(root_path(2)))
    with pytest.raises(FormatError):
        Roots(fs).read(3)


def segments_name_no_pack_that_is_gone(open_store: Open) -> None:
    """A hit in a segment counts as long as the root that names it does."""
    store = open_store()
    for run in ("main", "donor"):
        save(store, run, 0)
    store.delete("donor@0")
    store.gc(grace_s=0)
    repo = store._session.repo
    assert repo.segments.live_packs(repo.root()) == set(repo.fs.names("pack"))
