"""Changes to the catalog: nobody changes it by accident, and a race has one outcome."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import ckstore
from ckstore.store.writer import Writer
from unit.engine.states import drifting


@pytest.fixture
def store(store_path: str) -> Iterator[ckstore.Store]:
    with ckstore.open(store_path, create=True) as store:
        store.save(drifting(0), step=0)
        yield store


def test_a_caller_who_changes_what_it_gave_changes_no_checkpoint(store: ckstore.Store) -> None:
    config: Any = {"optimizer": {"lr": 0.1}, "notes": ["warmup"]}
    store.save(drifting(1), step=1, meta={"config": config})
    store.annotate("main@0", meta={"config": config})
    config["optimizer"]["lr"] = 0.001
    config["notes"].append("decay")
    store.save(drifting(2), step=2)
    with ckstore.open(store.path) as again:
        for look in (store, again):
            for ref in ("main@0", "main@1"):
                assert look.checkpoint(ref).meta == {"config": {"optimizer": {"lr": 0.1}, "notes": ["warmup"]}}


def test_a_caller_who_changes_what_it_got_changes_no_checkpoint(store: ckstore.Store) -> None:
    store.save(drifting(1), step=1, meta={"config": {"lr": 0.1}}, metrics={"loss": 1.0}, tags=["good"])
    for look in (lambda: store.checkpoint("main@1"), lambda: store.checkpoints()[-1], lambda: store.tag("main@1", "x")):
        found = look()
        found.meta["config"]["lr"] = "scribble"
        found.metrics.clear()
        found.tags.clear()
    store.save(drifting(2), step=2)
    with ckstore.open(store.path) as again:
        for found in (store.checkpoint("main@1"), again.checkpoint("main@1")):
            assert (found.meta, found.metrics) == ({"config": {"lr": 0.1}}, {"loss": 1.0})
            assert found.tags == ["good", "x"]


def test_an_untag_that_races_a_move_leaves_the_tag_nowhere(
    store: ckstore.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = store.save(drifting(1), step=1)
    store.tag("main@0", "best")
    commit, moved = Writer.commit, []

    def slow_commit(writer: Writer, *args: Any) -> Any:
        if not moved:
            moved.append(True)
            store.tag(other, "best", move=True)
        return commit(writer, *args)

    monkeypatch.setattr(Writer, "commit", slow_commit)
    assert store.untag("best").id == other.id
    assert [checkpoint.tags for checkpoint in store.checkpoints()] == [[], []]


def test_untag_says_what_is_wrong(store: ckstore.Store) -> None:
    with pytest.raises(ckstore.NotFoundError, match="nothing"):
        store.untag("nothing")
    with pytest.raises(ckstore.UsageError, match="not a tag"):
        store.untag("main@0")
