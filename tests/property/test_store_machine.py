"""A store under any sequence of calls, compared with a plain dict after each."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import ckstore
from ckstore.engine import catalog
from ckstore.engine.gc import collector
from ckstore.engine.gc.collector import Waiting
from ckstore.engine.gc.upkeep import Upkeep
from ckstore.store import segments
from tests.property.machine_states import Known, changed, fresh
from tests.support.paths import IN_MEMORY
from tests.support.states import assert_same, strays

RUNS = st.sampled_from(["a", "b/c"])
TAGS = st.sampled_from(["best", "keep.me", "x-1"])
METRIC = st.floats(allow_nan=False, allow_infinity=False)


class StoreMachine(RuleBasedStateMachine):
    """`known` holds what the store must, by id, in commit order."""

    @initialize()
    def make(self) -> None:
        self.path = tempfile.mkdtemp(prefix="ckstore-test-", dir=IN_MEMORY)
        self.store = ckstore.open(self.path, create=True, chunk_elements=1024)
        self.known: dict[str, Known] = {}

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.path)

    def pick(self, data: Any) -> str:
        return data.draw(st.sampled_from(list(self.known)))

    def newest(self, run: str) -> str | None:
        return next((key for key, one in reversed(self.known.items()) if one.run == run), None)

    def save(self, run: str, state: Any, **how: Any) -> None:
        last = self.newest(run)
        ck = self.store.save(state, run=run, **how)
        assert ck.id not in self.known
        step = how.get("step", self.known[last].step + 1 if last else 0)
        self.known[ck.id] = Known(run, step, state, set(how.get("tags", ())), dict(how.get("metrics", {})))

    @rule(run=RUNS, seed=st.integers(0, 5), parent=st.sampled_from(["auto", None]))
    def save_new_or_old_content(self, run: str, seed: int, parent: str | None) -> None:
        self.save(run, fresh(seed), parent=parent)

    @precondition(lambda self: self.known)
    @rule(run=RUNS, seed=st.integers(0, 1 << 20), data=st.data(), loss=METRIC)
    def save_a_delta(self, run: str, seed: int, data: Any, loss: float) -> None:
        base = self.pick(data)
        self.save(run, changed(self.known[base].state, seed), step=seed, metrics={"loss": loss})

    @precondition(lambda self: self.known)
    @rule(run=RUNS, seed=st.integers(0, 1 << 20), data=st.data())
    def fork(self, run: str, seed: int, data: Any) -> None:
        base = self.pick(data)
        self.save(run, changed(self.known[base].state, seed), parent=base)

    @rule(run=RUNS, tag=TAGS)
    def save_with_a_tag(self, run: str, tag: str) -> None:
        if any(tag in one.tags for one in self.known.values()):
            with pytest.raises(ckstore.RefMoved):
                self.store.save(fresh(0), run=run, tags=[tag])
        else:
            self.save(run, fresh(0), tags=[tag])

    @precondition(lambda self: self.known)
    @rule(data=st.data(), tag=TAGS, move=st.booleans())
    def tag(self, data: Any, tag: str, move: bool) -> None:
        key = self.pick(data)
        holders = [one for one in self.known.values() if tag in one.tags]
        if holders and holders[0] is not self.known[key] and not move:
            with pytest.raises(ckstore.RefMoved):
                self.store.tag(key, tag)
            return
        self.store.tag(key, tag, move=move)
        for holder in holders:
            holder.tags.discard(tag)
        self.known[key].tags.add(tag)

    @rule(tag=TAGS)
    def untag(self, tag: str) -> None:
        holders = [one for one in self.known.values() if tag in one.tags]
        if holders:
            self.store.untag(tag)
            holders[0].tags.discard(tag)
        else:
            with pytest.raises(ckstore.RefNotFound):
                self.store.untag(tag)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), value=METRIC, note=st.text(max_size=9))
    def annotate(self, data: Any, value: float, note: str) -> None:
        key = self.pick(data)
        self.store.annotate(key, metrics={"acc": value}, meta={"note": note})
        self.known[key].metrics["acc"] = value
        self.known[key].meta["note"] = note

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def delete(self, data: Any) -> None:
        key = self.pick(data)
        if self.known[key].tags:
            with pytest.raises(ckstore.ConflictError):
                self.store.delete(key)
        else:
            self.store.delete(key)
            del self.known[key]

    @rule()
    def gc(self) -> None:
        self.store.gc(grace_s=0)
        assert strays(self.store) == set()

    @rule(newest=st.sampled_from([None, 0, 1]))
    def gc_that_moves_all_it_can(self, newest: int | None) -> None:
        upkeep = Upkeep(dead_share=0.001, everywhere=True, archive=newest)
        report = collector.collect(self.store._session, Waiting(0), upkeep)
        assert (report.unmovable, report.stopped, strays(self.store)) == ([], "", set())

    @rule()
    def gc_in_an_emergency(self) -> None:
        self.store.gc(grace_s=0, emergency=True)
        assert strays(self.store) == set()

    @rule()
    def gc_dry_run(self) -> None:
        plan = self.store.gc(dry_run=True, archive=1)
        assert [one.id for one in plan.checkpoints] == list(self.known)
        assert not any(one.damaged for one in plan.checkpoints)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), leaf=st.sampled_from(["zeros", "deep"]))
    def thin(self, data: Any, leaf: str) -> None:
        key = self.pick(data)
        state = self.known[key].state
        if leaf in state:
            assert self.store.thin(key, [leaf, f"{leaf}.*"]).id == key
            self.known[key].state = {name: value for name, value in state.items() if name != leaf}
        else:
            with pytest.raises(ckstore.NotFoundError):
                self.store.thin(key, [leaf, f"{leaf}.*"])

    @rule(last=st.integers(1, 3), leaf=st.sampled_from(["zeros", "deep"]))
    def keep(self, last: int, leaf: str) -> None:
        """The newest few of each run stay, and of these all but the newest and the tagged are thinned."""
        self.store.keep(ckstore.Keep(last=last, thin=[leaf, f"{leaf}.*"], thin_beyond=1))
        for run in {one.run for one in self.known.values()}:
            mine = [key for key, one in self.known.items() if one.run == run]
            for key in mine[:-1]:
                if self.known[key].tags:
                    continue
                if key in mine[-last:]:
                    state = self.known[key].state
                    self.known[key].state = {name: value for name, value in state.items() if name != leaf}
                else:
                    del self.known[key]

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = ckstore.open(self.path)

    @rule()
    def verify(self) -> None:
        report = self.store.verify("data")
        assert report.ok, report.damages

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def load(self, data: Any) -> None:
        key = self.pick(data)
        assert_same(self.store.load(key), self.known[key].state)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), i=st.integers(0, 3))
    def load_a_selection(self, data: Any, i: int) -> None:
        key = self.pick(data)
        state = self.known[key].state
        wanted: dict[str, Any] = {"w": [None] * 4, "n": state["n"]}
        wanted["w"][i] = state["w"][i]
        assert_same(self.store.load(key, select=[f"w.{i}", "n"]), wanted)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def load_into(self, data: Any) -> None:
        key = self.pick(data)
        mine = {name: value for name, value in fresh(99).items() if name in self.known[key].state}
        tensors = list(mine["w"])
        assert_same(self.store.load(key, into=mine), self.known[key].state)
        for tensor, expected in zip(tensors, self.known[key].state["w"], strict=True):
            assert tensor.tobytes() == expected.tobytes()

    @invariant()
    def the_catalog_is_the_models(self) -> None:
        if not hasattr(self, "store"):
            return
        found = self.store.checkpoints()
        assert [ck.id for ck in found] == list(self.known)
        for ck, one in zip(found, self.known.values(), strict=True):
            assert (ck.run, ck.step, set(ck.tags), ck.metrics, ck.meta) == (
                one.run, one.step, one.tags, one.metrics, one.meta,
            )  # fmt: skip

    @invariant()
    def references_find_the_newest(self) -> None:
        if getattr(self, "known", None):
            assert self.store.checkpoint("latest").id == list(self.known)[-1]
            for run in {one.run for one in self.known.values()}:
                assert self.store.checkpoint(f"{run}@latest").id == self.newest(run)


@pytest.fixture(autouse=True)
def _everything_happens_early(monkeypatch):
    """Catalog pages and merged segments after a few saves, not after dozens."""
    monkeypatch.setenv("CKSTORE_THREADS", "1")
    monkeypatch.setattr(catalog, "INLINE_ENTRIES", 4)
    monkeypatch.setattr(segments, "MERGE_FACTOR", 3)


class TestStoreMachine(StoreMachine.TestCase):
    settings = settings(max_examples=40, stateful_step_count=40)


@pytest.mark.soak
@pytest.mark.timeout(0)
class TestStoreMachineForLong(StoreMachine.TestCase):
    settings = settings(max_examples=1000, stateful_step_count=75)
