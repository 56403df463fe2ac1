"""A store under any sequence of calls, compared with a plain dict after each."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import ckstore
from ckstore.engine import catalog
from ckstore.store import segments
from tests.support.paths import IN_MEMORY
from tests.support.states import assert_same, strays

RUNS = st.sampled_from(["a", "b/c"])
TAGS = st.sampled_from(["best", "keep.me", "x-1"])
METRIC = st.floats(allow_nan=False, allow_infinity=False)
DTYPES = ("f4", "i8", "u1", ml_dtypes.bfloat16)


@dataclass
class Known:
    """What the model knows of a checkpoint."""

    run: str
    step: int
    state: Any
    tags: set[str] = field(default_factory=set)
    metrics: dict[str, float] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


def fresh(seed: int) -> dict[str, Any]:
    """A new state of two or three chunks a tensor."""
    rng = np.random.default_rng(seed)
    return {
        "w": [rng.normal(size=(3, 700)).astype(dtype) for dtype in DTYPES],
        "zeros": np.zeros(1500, "f8"),
        "n": seed,
        "deep": ({"x": rng.bytes(10)}, None),
    }


def changed(state: dict[str, Any], seed: int) -> dict[str, Any]:
    """Some elements of some tensors are others."""
    rng = np.random.default_rng(seed)
    tensors = [tensor.copy() for tensor in state["w"]]
    for tensor in rng.choice(len(tensors), 2):
        where = rng.integers(0, tensors[tensor].size, rng.choice([1, 500]))
        tensors[tensor].reshape(-1)[where] = rng.integers(0, 100, where.size).astype(tensors[tensor].dtype)
    return {**state, "w": tensors, "n": seed}


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
        mine = fresh(99)
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
class TestStoreMachineForLong(StoreMachine.TestCase):
    settings = settings(max_examples=1000, stateful_step_count=75)
