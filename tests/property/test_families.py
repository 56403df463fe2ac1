"""States with all sorts of optimizers come back bit for bit, whatever they were before, and whatever goes."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ckstore
from ckstore.engine.parent import load_parent
from ckstore.format.closure import MAX_WORK
from ckstore.format.frame import MAX_DEPTH

SHAPES = [(40, 30), (64, 32), (1200,), (3, 5), ()]
DTYPES = [np.dtype("f4"), np.dtype("f4"), np.dtype(ml_dtypes.bfloat16), np.dtype("f2"), np.dtype("f8"), np.dtype("i4")]
NUMBERS = st.one_of(st.none(), st.text(max_size=3), st.integers(-3, 40), st.floats(), st.sampled_from([0.9, 0.999]))
NAMES = [("exp_avg", "exp_avg_sq"), ("momentum_buffer", "other"), ("exp_avg", "none")]
Shape = tuple[int, ...]


class Run:
    """Weights that walk, their moments and an average; drawn anew in part at every step."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw, self.rng = draw, np.random.default_rng(draw(st.integers(0, 1 << 30)))
        self.shapes: list[Shape] = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))
        self.dtypes = [draw(st.sampled_from(DTYPES)) for _ in self.shapes]
        self.names = draw(st.sampled_from(NAMES))
        self.w = [self.rng.normal(size=shape) for shape in self.shapes]
        self.m = [np.zeros(shape) for shape in self.shapes]
        self.v = [np.zeros(shape) for shape in self.shapes]
        self.step = 0

    def walk(self) -> dict[str, Any]:
        self.step += self.draw(st.integers(-1, 3))
        i = self.draw(st.integers(0, len(self.shapes) - 1))
        if self.draw(st.integers(0, 4)) == 0:
            self.shapes[i] = self.draw(st.sampled_from(SHAPES))
            self.w[i], self.m[i], self.v[i] = (np.zeros(self.shapes[i]) for _ in range(3))
        if self.draw(st.integers(0, 4)) == 0:
            self.dtypes[i] = self.draw(st.sampled_from(DTYPES))
        for j, shape in enumerate(self.shapes):
            if self.draw(st.booleans()):
                g = self.rng.normal(size=shape)
                self.m[j], self.v[j] = 0.9 * self.m[j] + 0.1 * g, 0.999 * self.v[j] + 0.001 * g * g
                self.w[j] = self.w[j] - 1e-3 * self.m[j] / (np.sqrt(self.v[j]) + 1e-8)
        return self.state()

    def state(self) -> dict[str, Any]:
        first, second = self.names
        with np.errstate(all="ignore"):
            w, m, v = ([x.astype(t) for x, t in zip(xs, self.dtypes, strict=True)] for xs in (self.w, self.m, self.v))
        moments = {i: {"step": self.step, first: m[i], second: v[i]} for i in range(len(w))}
        if self.draw(st.integers(0, 5)) == 0:
            moments.pop(0)
        group = {name: self.draw(NUMBERS) for name in ("lr", "eps", "weight_decay", "momentum", "nesterov")}
        group |= {"betas": (self.draw(NUMBERS), self.draw(NUMBERS)), "params": list(range(len(w)))}
        model = {f"l{i}": x for i, x in enumerate(w)}
        state = {"model": model, "optimizer": {"state": moments, "param_groups": [group]}}
        return state if self.draw(st.booleans()) else {**state, "ema": {name: x * 1 for name, x in model.items()}}


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, np.ndarray):
        assert (found.dtype, found.shape, found.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


@settings(max_examples=25)
@given(data=st.data())
def test_states_with_optimizers_come_back(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    run = Run(data.draw)
    path, saved = tmp_path_factory.mktemp("families") / "store", dict[str, Any]()
    how = {"chunk_elements": 1024, "chain_frames": data.draw(st.sampled_from([3, 32, 62]))}
    with ckstore.open(path, create=True, **how) as store:
        for _ in range(data.draw(st.integers(2, 9))):
            state, level = run.walk(), data.draw(st.sampled_from(["fast", "balanced", "balanced", "archive"]))
            parent = data.draw(st.sampled_from(["auto", "auto", "auto", *saved, None]))
            ck = store.save(state, parent=parent, level=level, weights_alone=data.draw(st.booleans()))
            saved[ck.id] = state
            verb = data.draw(st.sampled_from(["", "", "delete", "thin"]))
            if verb and len(saved) > 1:
                one = data.draw(st.sampled_from(list(saved)))
                if verb == "delete":
                    store.delete(one)
                    del saved[one]
                elif "optimizer" in saved[one]:
                    store.thin(one, drop=["optimizer.*"])
                    saved[one] = {name: part for name, part in saved[one].items() if name != "optimizer"}
                store.gc(grace_s=0)
        for checkpoint_id, state in saved.items():
            assert_same(store.load(checkpoint_id), state)
        repo = store._session.repo
        for entry in repo.root().inline:
            parent = load_parent(repo, entry)
            chains = [parent.chain(row) for row in range(len(parent.rows))]
            assert max((chain.frames for chain in chains), default=0) <= MAX_DEPTH
            assert max((chain.work for chain in chains), default=0) <= MAX_WORK
        assert store.verify("data").ok
