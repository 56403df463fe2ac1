"""The race for the next root number: who loses goes on from the winner's root, and nobody commits twice or never."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import ckstore
from ckstore.engine.gc import trim
from ckstore.store import repository
from tests.support.states import CHUNK, assert_exact, assert_same, assert_whole_and_tidy, keys, state_of
from tests.support.stores import before_commit, once, save


@pytest.fixture
def trimming(monkeypatch):
    """Old roots go at once, and after few."""
    monkeypatch.setattr(trim, "KEEP_ROOTS_S", -1.0)
    monkeypatch.setattr(trim, "KEEP_ROOTS", 5)


def annotate_often(store: ckstore.Store, n: int) -> None:
    for i in range(n):
        store.annotate("latest", meta={"i": i})


def test_a_saver_that_loses_three_races_in_a_row_commits_after_the_third(open_store):
    slow, fast = open_store(), open_store()
    for step in (3, 2, 1):
        inner = step

        def lose(step=inner):
            if step < 3:
                before_commit(slow, lambda: lose(step + 1))
            save(fast, "fast", step)

    before_commit(slow, lambda: lose(1))
    save(slow, "slow", 0)
    assert keys(slow) == [("fast", 1), ("fast", 2), ("fast", 3), ("slow", 0)]
    assert_whole_and_tidy(fast)


def test_a_tag_that_was_taken_meanwhile_is_refused(open_store):
    slow, fast = open_store(), open_store()
    before_commit(slow, lambda: save(fast, "fast", 0, tags=["best"]))
    with pytest.raises(ckstore.RefMoved):
        save(slow, "slow", 0, tags=["best"])
    assert keys(slow) == [("fast", 0)]
    assert_whole_and_tidy(fast)


def test_a_checkpoint_that_was_tagged_meanwhile_is_not_deleted(open_store):
    slow, fast = open_store(), open_store()
    save(slow, "main", 0)
    before_commit(slow, lambda: fast.tag("main@0", "keep"))
    with pytest.raises(ckstore.ConflictError):
        slow.delete("main@0")
    assert keys(slow) == [("main", 0)]


def test_a_checkpoint_that_was_deleted_meanwhile_cannot_be_tagged(open_store):
    slow, fast = open_store(), open_store()
    save(slow, "main", 0)
    before_commit(slow, lambda: fast.delete("main@0"))
    with pytest.raises(ckstore.CheckpointNotFound):
        slow.tag("main@0", "keep")


def test_two_changes_of_one_checkpoint_both_last(open_store):
    slow, fast = open_store(), open_store()
    save(slow, "main", 0)
    before_commit(slow, lambda: fast.annotate("main@0", metrics={"loss": 2.0}))
    slow.tag("main@0", "best")
    found = open_store().checkpoint("best")
    assert found.metrics == {"loss": 2.0}


def test_a_saver_that_slept_while_its_number_was_used_and_forgotten_commits_again(open_store, trimming):
    """Its link succeeds, since the root of that number was trimmed long ago; nobody would ever read that root."""
    slow, fast = open_store(), open_store()
    save(fast, "main", 0)

    def long_sleep() -> None:
        annotate_often(fast, 20)
        fast.gc(grace_s=0)
        assert min(map(int, os.listdir(Path(fast.path, "root")))) > 0

    once(slow._session.repo.fs, "publish", long_sleep)
    save(slow, "slow", 0)
    assert keys(open_store()) == [("main", 0), ("slow", 0)]
    assert_whole_and_tidy(fast)
    assert len(os.listdir(Path(fast.path, "root"))) < 20


def test_a_saver_that_slept_after_its_link_does_not_commit_twice(open_store, trimming):
    slow, fast = open_store(), open_store()
    save(fast, "main", 0)
    repo = slow._session.repo

    def fall_asleep() -> None:
        def long_sleep() -> None:
            annotate_often(fast, 20)
            fast.gc(grace_s=0)

        once(repo.roots, "newest", long_sleep)

    once(repo.fs, "link", fall_asleep)
    save(slow, "slow", 0)
    assert keys(open_store()) == [("main", 0), ("slow", 0)]


def test_a_saver_that_slept_after_its_link_until_its_entry_left_the_root_does_not_commit_twice(open_store, trimming):
    slow, fast = open_store(), open_store()
    save(fast, "main", 0)
    repo = slow._session.repo

    def fall_asleep() -> None:
        def long_sleep() -> None:
            for step in range(70):
                fast.save({"x": step}, run="many", step=step)
            fast.gc(grace_s=0)

        once(repo.roots, "newest", long_sleep)

    once(repo.fs, "link", fall_asleep)
    save(slow, "slow", 0)
    assert keys(open_store()).count(("slow", 0)) == 1


def test_an_answer_that_says_taken_although_the_link_was_made_is_not_a_loss(open_store):
    """So does NFS when the first answer is lost and the request is sent again."""
    store = open_store()
    fs = store._session.repo.fs
    link = fs.link

    def twice(source, path):
        link(source, path)
        link(source, path)

    fs.link = twice
    save(store, "main", 0)
    fs.link = link
    assert keys(store) == [("main", 0)]
    assert_whole_and_tidy(open_store())


def test_of_two_who_make_the_same_store_the_second_opens_the_firsts(tmp_path):
    path = tmp_path / "store"
    first: list[ckstore.Store] = []
    create = repository.roots.create

    def beaten(*args):
        repository.roots.create = create
        first.append(ckstore.open(path, create=True, chunk_elements=CHUNK))
        save(first[0], "main", 0)
        return create(*args)

    repository.roots.create = beaten
    with ckstore.open(path, create=True, chunk_elements=CHUNK) as second:
        assert keys(second) == [("main", 0)]
        save(second, "main", 1)
        assert_whole_and_tidy(first[0])
    first[0].close()


def test_many_checkpoints_move_to_pages_while_another_saver_commits(open_store):
    slow, fast = open_store(), open_store()
    for step in range(33):
        fast.save({"x": step}, run="many", step=step)
    before_commit(slow, lambda: fast.save({"x": 33}, run="many", step=33))
    slow.save({"x": 0}, run="slow", step=0)
    assert len(keys(slow)) == 35
    assert fast.load("many@0") == {"x": 0}
    fast.gc(grace_s=0)
    assert fast.load("many@5") == {"x": 5}


def test_one_store_object_may_be_used_by_several_threads(open_store):
    from concurrent.futures import ThreadPoolExecutor

    store = open_store()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: save(store, f"run{i % 4}", i), range(12)))
    assert sorted(keys(store)) == sorted((f"run{i % 4}", i) for i in range(12))
    assert_exact(store)
    assert_same(open_store().load("run3@11"), state_of("run3", 11))
    assert_whole_and_tidy(store)
