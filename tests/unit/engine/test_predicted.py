"""Weights and moments that follow from each other: trained for real, saved at every step, and taken apart again."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ckstore
from ckstore.engine import encode
from ckstore.engine.parent import load_parent
from ckstore.format.closure import MAX_WORK
from ckstore.tensor import dotted
from tests.support.packs import rows_of, spoil
from tests.support.training import assert_equal, training

N_STEPS = 10


@pytest.fixture
def store(store_path: str) -> Iterator[ckstore.Store]:
    with ckstore.open(store_path, create=True, chunk_elements=1 << 12) as opened:
        yield opened


@pytest.fixture
def states(store: ckstore.Store) -> list[dict[str, Any]]:
    """Ten steps of AdamW, each saved."""
    found = list(training(N_STEPS))
    for step, state in enumerate(found):
        store.save(state, step=step)
    return found


def codecs(store: ckstore.Store, ref: str) -> dict[str, set[str]]:
    return {leaf.path: set(leaf.codecs) for leaf in store.leaves(ref)}


def test_steps_of_adamw_are_predicted_and_come_back_exactly(store, states) -> None:
    for step, state in enumerate(states):
        assert_equal(store.load(f"main@{step}"), state)
    used = codecs(store, "main@1")
    assert used["model.0.weight"] == used["optimizer.state.0.exp_avg_sq"] == {"predicted"}
    rows = {leaf.path: leaf for leaf in store.leaves("main@1")}
    assert rows["model.0.weight"].stored_bytes < 0.1 * rows["model.0.weight"].nbytes
    assert rows["optimizer.state.0.exp_avg_sq"].stored_bytes < 0.2 * rows["optimizer.state.0.exp_avg_sq"].nbytes


@pytest.mark.parametrize(("kind", "share"), [("adam", 0.5), ("sgd", 0.2), ("nesterov", 0.5)])
def test_weights_of_other_optimizers_are_predicted_too(store, kind: str, share: float) -> None:
    for step, state in enumerate(training(3, kind=kind)):
        store.save(state, step=step)
        assert_equal(store.load("latest"), state)
    row = next(leaf for leaf in store.leaves("latest") if leaf.path == "model.0.weight")
    assert (set(row.codecs), row.stored_bytes < share * row.nbytes) == ({"predicted"}, True)


def test_averages_follow_from_weights(store) -> None:
    for step, state in enumerate(training(4)):
        store.save(state, step=step)
    rows = {leaf.path: leaf for leaf in store.leaves("latest")}
    assert set(rows["ema.module.0.weight"].codecs) == {"predicted"}
    assert rows["ema.module.0.weight"].stored_bytes < 0.2 * rows["ema.module.0.weight"].nbytes


def test_the_model_alone_loads(store, states) -> None:
    found = store.load("latest", select=["model.*"])
    assert_equal(found["model"], states[-1]["model"])


def test_weights_alone_are_not_predicted_from_moments(store) -> None:
    for step, state in enumerate(training(3)):
        store.save(state, step=step, weights_alone=True)
        assert_equal(store.load("latest"), state)
    used = codecs(store, "latest")
    assert used["model.0.weight"] == {"delta_int"}
    assert used["optimizer.state.0.exp_avg_sq"] == {"predicted"}


def test_chains_end_and_stay_readable(store, states) -> None:
    limit = store._session.repo.root().chain_frames
    assert max(leaf.max_chain for leaf in store.leaves("latest")) <= limit
    parent = load_parent(store._session.repo, store._session.repo.root().inline[-1])
    assert max(parent.chain(row).work for row in range(len(parent.rows))) <= MAX_WORK


def chunk_ids(store: ckstore.Store, part: str) -> set[bytes]:
    """The chunks of one part of all checkpoints."""
    repo, found = store._session.repo, set[bytes]()
    for entry in repo.root().inline:
        for row, columns in load_parent(repo, entry).table:
            if row.path[:1] == (part,):
                found.update(columns.chunk_id(i) for i in range(columns.n_chunks))
    return found


def test_what_others_were_predicted_from_may_be_deleted_and_moved(store, states) -> None:
    for step in range(N_STEPS - 1):
        store.delete(f"main@{step}")
        store.gc(grace_s=0)
        assert store.verify("data").ok
    assert_equal(store.load("latest"), states[-1])


def test_moments_that_are_thinned_away_leave_the_weights(store, states) -> None:
    dropped = chunk_ids(store, "optimizer")
    for step in range(N_STEPS):
        store.thin(f"main@{step}", drop=["optimizer.*"])
    report = store.gc(grace_s=0)
    assert report.rebased_frames > 0
    for step in range(N_STEPS):
        assert dropped.isdisjoint(row.chunk_id for row in rows_of(store, f"main@{step}"))
    for step, state in enumerate(states):
        assert_equal(store.load(f"main@{step}")["model"], state["model"])
    assert store.verify("data").ok


def test_a_state_whose_optimizer_is_new_has_nothing_to_be_predicted_from(store) -> None:
    first, second = training(2)
    store.save({"model": first["model"]})
    store.save(second)
    store.save({"model": first["model"], "optimizer": second["optimizer"]["state"]})
    assert_equal(store.load("main@1"), second)
    assert_equal(store.load("latest")["optimizer"], second["optimizer"]["state"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.0, 1e-45, 3e38])
def test_values_that_arithmetic_makes_strange_come_back_exactly(store, value: float) -> None:
    for step, state in enumerate(training(3)):
        for tensor in (
            state["model"]["0.weight"], state["optimizer"]["state"][0]["exp_avg"],
            state["optimizer"]["state"][0]["exp_avg_sq"],
        ):  # fmt: skip
            tensor.flatten()[step::7] = value
        store.save(state, step=step)
        found = store.load("latest")
        for name in ("exp_avg", "exp_avg_sq"):
            one, other = (s["optimizer"]["state"][0][name].numpy() for s in (found, state))
            assert one.tobytes() == other.tobytes()
        assert found["model"]["0.weight"].numpy().tobytes() == state["model"]["0.weight"].numpy().tobytes()


def test_only_rows_that_were_touched_change(store) -> None:
    """SparseAdam leaves all other rows as they are: what did not move is predicted as it was."""
    torch.manual_seed(0)
    table = nn.Embedding(2000, 32, sparse=True)
    optimizer = torch.optim.SparseAdam(table.parameters(), lr=1e-2)
    for step in range(3):
        optimizer.zero_grad()
        table(torch.randint(0, 100, (40,))).square().sum().backward()
        optimizer.step()
        state = copy.deepcopy({"model": table.state_dict(), "optimizer": optimizer.state_dict()})
        store.save(state, step=step)
        assert_equal(store.load("latest"), state)
    assert codecs(store, "latest")["model.weight"] == {"planes", "predicted"}


def test_numpy_states_of_optax_shape(store) -> None:
    rng = np.random.default_rng(0)
    w, m, v = (rng.normal(size=(64, 128)).astype("f4") for _ in range(3))
    v = np.square(v)
    for step in range(1, 4):
        g = rng.normal(size=w.shape).astype("f4")
        m, v = np.float32(0.9) * m + np.float32(0.1) * g, np.float32(0.999) * v + np.float32(0.001) * g * g
        w = w - np.float32(1e-3) * m / (np.sqrt(v) + np.float32(1e-8))
        state = {"params": {"w": w}, "opt": {"mu": {"w": m}, "nu": {"w": v}}}
        store.save(state, step=step)
        found = store.load("latest")
        assert found["params"]["w"].tobytes() == w.tobytes()
        assert found["opt"]["nu"]["w"].tobytes() == v.tobytes()
    assert codecs(store, "latest")["params.w"] == {"predicted"}


@pytest.mark.parametrize("change", ["shape", "dtype", "both"])
def test_a_tensor_that_was_another_one_before_is_no_base(store, change: str) -> None:
    """A layer was widened, or the moments went to half precision: the parent has other chunks at the same places."""
    for step, state in enumerate(training(3)):
        if step == 1:
            parts = [state["model"], *state["optimizer"]["state"].values(), state["ema"]]
            for part in parts:
                for name, tensor in part.items():
                    if tensor.dim() == 2 and change != "dtype":
                        part[name] = tensor = tensor[:60].contiguous()
                    if tensor.dim() == 2 and change != "shape":
                        part[name] = tensor.bfloat16()
        store.save(state, step=step)
        assert_equal(store.load("latest"), state)


def test_a_moment_that_changes_while_it_is_saved_predicts_nothing(store, monkeypatch) -> None:
    """It is found unchanged, so that the parent's chunk stands for it; then its owner goes on training."""
    first = next(training(1))
    store.save(first)
    moment, variance = (first["optimizer"]["state"][0][name] for name in ("exp_avg", "exp_avg_sq"))
    moved = first["model"]["0.weight"] - 1e-3 * moment / (variance.sqrt() + 1e-8)
    state = {"model": {**first["model"], "0.weight": moved}, "optimizer": first["optimizer"]}
    kept = moment.clone()
    settle = encode.Encoder._settle

    def late(self: Any, mine: Any, *rest: Any) -> Any:
        if (dotted(mine.slot.view.path), mine.slot.index) == ("model.0.weight", 0):
            moment.view(-1)[: 1 << 12] *= 1.001  # its first chunk
        return settle(self, mine, *rest)

    monkeypatch.setattr(encode.Encoder, "_settle", late)
    store.save(state)
    found = store.load("latest")
    assert torch.equal(found["model"]["0.weight"], moved)
    assert torch.equal(found["optimizer"]["state"][0]["exp_avg"], kept)


def test_moments_that_come_round_again_leave_every_checkpoint_readable(store) -> None:
    """Old moments are found by their ids; what weights are predicted from is then needed all at once."""
    rng = np.random.default_rng(0)
    n, period = 1 << 12, 10
    moments = [(rng.normal(size=n).astype("f4"), rng.random(n).astype("f4")) for _ in range(period)]
    w = rng.normal(size=n).astype("f4")
    saved = []
    for step in range(25):
        m, v = moments[step % period]
        w = w - np.float32(1e-3) * m / (np.sqrt(v) + np.float32(1e-8))
        store.save({"params": {"w": w}, "opt": {"m": {"w": m}, "v": {"w": v}}}, step=step)
        saved.append(w)
    assert all(store.load(f"main@{step}")["params"]["w"].tobytes() == w.tobytes() for step, w in enumerate(saved))
    assert store.verify("data").ok


def test_moments_of_the_parent_that_cannot_be_read_predict_nothing(store) -> None:
    first, second = training(2)
    store.save(first)
    moments = chunk_ids(store, "optimizer")
    for row in rows_of(store, "latest"):
        if row.chunk_id in moments:
            spoil(store, row)
    store.save(second)
    assert_equal(store.load("latest"), second)
