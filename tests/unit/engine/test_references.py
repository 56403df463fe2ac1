"""References: the order in which they are tried, what is newest, what is best, and what is refused."""

from __future__ import annotations

import math

import pytest

import ckstore


@pytest.fixture
def store(store_path: str):
    with ckstore.open(store_path, create=True) as opened:
        yield opened


def test_latest_is_the_last_commit_of_any_run(store):
    store.save({"x": 1}, run="a", step=9)
    store.save({"x": 2}, run="b", step=1)
    assert store.load("latest") == {"x": 2}
    assert store.load("a@latest") == {"x": 1}


def test_a_step_saved_twice_names_the_newer(store):
    store.save({"x": 1}, step=5)
    store.save({"x": 2}, step=6)
    store.save({"x": 3}, step=5)
    assert store.load("main@5") == {"x": 3}
    assert [ck.step for ck in store.checkpoints()] == [5, 6, 5]


def test_best_skips_nan_and_missing_and_gives_ties_to_the_newest(store):
    for step, loss in enumerate([2.0, math.nan, 1.0, None, 1.0, 3.0]):
        store.save({"x": step}, step=step, metrics={} if loss is None else {"loss": loss})
    assert store.load("main@min:loss") == {"x": 4}
    assert store.load("main@max:loss") == {"x": 5}
    with pytest.raises(ckstore.RefNotFound):
        store.load("main@min:accuracy")


def test_a_tag_wins_over_nothing_and_an_id_prefix_finds_one(store):
    saved = store.save({"x": 1}, tags=["good/one"])
    assert store.checkpoint("good/one").id == saved.id
    assert store.checkpoint(saved.id[:8]).id == saved.id
    with pytest.raises(ckstore.RefNotFound):
        store.checkpoint(saved.id[:5])


@pytest.mark.parametrize("tag", ["latest", "abc123", "", "-x", "a b", "x" * 129, "a@b"])
def test_tags_that_read_like_another_reference_are_refused(store, tag):
    store.save({"x": 1})
    with pytest.raises(ckstore.UsageError):
        store.tag("latest", tag)
    with pytest.raises(ckstore.UsageError):
        store.save({"x": 1}, tags=[tag])


def test_a_tag_is_moved_only_when_asked(store):
    first, second = store.save({"x": 1}), store.save({"x": 2})
    store.tag(first.id, "best")
    with pytest.raises(ckstore.RefMoved):
        store.tag(second.id, "best")
    with pytest.raises(ckstore.ConflictError):
        store.save({"x": 3}, tags=["best"])
    assert len(store.checkpoints()) == 2
    store.tag(second.id, "best", move=True)
    assert store.checkpoint("best").id == second.id
    assert store.checkpoint(first.id).tags == []


def test_tagging_twice_is_no_change(store):
    saved = store.save({"x": 1})
    store.tag(saved.id, "best")
    number = store.stats().root_number
    store.tag(saved.id, "best")
    assert store.stats().root_number == number


def test_a_tagged_checkpoint_is_deleted_only_after_untag(store):
    store.save({"x": 1}, tags=["keep"])
    with pytest.raises(ckstore.ConflictError, match="untag"):
        store.delete("keep")
    store.untag("keep")
    store.delete("latest")
    assert store.checkpoints() == []
    with pytest.raises(ckstore.RefNotFound):
        store.load("latest")


def test_untag_takes_tags_only(store):
    saved = store.save({"x": 1})
    with pytest.raises(ckstore.UsageError):
        store.untag(saved.ref)
    with pytest.raises(ckstore.RefNotFound):
        store.untag("nothing")


def test_annotate_adds_and_overwrites(store):
    saved = store.save({"x": 1}, metrics={"loss": 1.0}, meta={"note": "a"})
    store.annotate(saved.id, metrics={"acc": 0.5}, meta={"note": "b", "n": [1, None, True]})
    found = store.checkpoint(saved.id)
    assert found.metrics == {"loss": 1.0, "acc": 0.5}
    assert found.meta == {"note": "b", "n": [1, None, True]}
    assert found.id == saved.id
    assert store.load("latest") == {"x": 1}


def test_too_much_meta_is_refused_before_anything_is_published(store):
    with pytest.raises(ckstore.UsageError, match="bytes"):
        store.save({"x": 1}, meta={"log": "x" * 20000})
    with pytest.raises(ckstore.UsageError):
        store.save({"x": 1}, meta={"object": object()})
    assert store.checkpoints() == []


@pytest.mark.parametrize("ref", ["", "main@", "main@x", "main@min:", None, 7])
def test_a_malformed_reference_is_an_error_of_its_own(store, ref):
    store.save({"x": 1})
    with pytest.raises((ckstore.UsageError, ckstore.RefNotFound)):
        store.load(ref)


def test_the_default_step_counts_on(store):
    assert [store.save({"x": i}).step for i in range(3)] == [0, 1, 2]
    assert store.save({"x": 9}, step=40).step == 40
    assert store.save({"x": 9}).step == 41


@pytest.mark.parametrize("arguments", [{"step": 1.5}, {"step": True}, {"step": 2**63}, {"run": "a@b"}, {"run": ""},
                                       {"metrics": {"loss": "low"}}, {"tags": "good"}])  # fmt: skip
def test_bad_arguments_of_save_are_usage_errors_and_publish_nothing(store, arguments):
    with pytest.raises(ckstore.UsageError):
        store.save({"x": 1}, **arguments)
    assert store.checkpoints() == []


def test_many_checkpoints_move_to_pages_and_are_all_found(store):
    ids = [store.save({"x": step}, step=step, metrics={"loss": float(step)}).id for step in range(90)]
    assert [ck.id for ck in store.checkpoints()] == ids
    assert store.load("main@3") == {"x": 3}
    assert store.checkpoint("main@min:loss").step == 0
    store.tag("main@2", "early")
    store.annotate("main@1", metrics={"loss": -1.0})
    store.delete("main@0")
    assert store.checkpoint("early").step == 2
    assert store.checkpoint("main@min:loss").step == 1
    assert len(store.checkpoints()) == 89
    store.gc(grace_s=0)
    assert store.verify("data").ok
