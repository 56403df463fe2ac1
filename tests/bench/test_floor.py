"""The floor of the storage benchmark: known entropies, what costs nothing, and what replays an optimiser."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench import floor, kinds, predictions
from bench.codecs.ckstore import Ckstore

ROWS, COLUMNS = 256, 128
N = ROWS * COLUMNS


def _floats(generator: np.random.Generator, n_exponents: int) -> Any:
    """Random sign and mantissa, exponents that are equally likely."""
    exponents = generator.integers(120, 120 + n_exponents, (ROWS, COLUMNS), dtype=np.uint32)
    noise = generator.integers(0, 1 << 24, (ROWS, COLUMNS), dtype=np.uint32)
    return exponents << 23 | noise >> 1 | noise << 31


def _bits(x: Any, guesses: Any = (), mantissa: int = 23) -> float:
    """Bits an element."""
    return floor.sample_bits(x, guesses, mantissa) / x.size


def test_noise_costs_its_bits_and_exponents_their_entropy() -> None:
    generator = np.random.default_rng(1)
    assert _bits(_floats(generator, 8)) == pytest.approx(24 + 3, abs=0.02)
    assert _bits(generator.integers(0, 1 << 16, (ROWS, COLUMNS), dtype=np.uint16), mantissa=0) == pytest.approx(
        16, abs=0.01
    )
    halves = (_floats(generator, 4) >> 16).astype(np.uint16)
    assert _bits(halves, mantissa=7) == pytest.approx(8 + 2, abs=0.02)


def test_exponents_that_follow_rows_and_columns_cost_their_factors() -> None:
    generator = np.random.default_rng(2)
    rows, columns = (generator.integers(0, 12, n, dtype=np.uint32) for n in (ROWS, COLUMNS))
    x = _floats(generator, 1) + ((rows[:, None] + columns) << 23)
    assert _bits(x) == pytest.approx(24 + 8 / ROWS + 8 / COLUMNS, abs=0.05)


def test_a_difference_costs_its_magnitude_in_units_of_the_last_place() -> None:
    generator = np.random.default_rng(3)
    base = _floats(generator, 8) & 0x7FFFFFFF
    steps = generator.integers(-64, 64, base.shape).astype(np.uint32)
    assert _bits(base + steps, [base]) == pytest.approx(7, abs=0.05)
    assert _bits(base ^ (steps & 0xFF), [base]) <= 8


def test_differences_are_small_on_both_sides_of_zero() -> None:
    generator = np.random.default_rng(12)
    before = generator.integers(-64, 64, (ROWS, COLUMNS))
    now = before + generator.integers(-64, 64, before.shape)
    x, base = (
        np.where(v < 0, 0x7FFFFFFF - v, v).astype(np.uint32) for v in (now, before)
    )  # -1 is the first below zero
    assert _bits(x, [base]) == pytest.approx(7, abs=0.05)


def test_steps_of_equal_size_are_told_by_the_exponent_of_the_weight() -> None:
    generator = np.random.default_rng(4)
    base = _floats(generator, 8) & 0x7FBFFFFF
    low = 20 - ((base >> 23) - 120)
    x = base + (1 << low) + (generator.integers(0, 1 << 24, base.shape, dtype=np.uint32) & ((1 << low) - 1))
    assert _bits(x, [base]) == pytest.approx(low.mean(), abs=0.05)


def test_rows_that_did_not_change_and_zeros_cost_where_they_are() -> None:
    generator = np.random.default_rng(5)
    now, before = _floats(generator, 8), _floats(generator, 8)
    now[32:] = before[32:]
    where = ROWS * floor.entropy(np.arange(ROWS) < 32)
    tensors = [torch.from_numpy(value.view(np.float32)) for value in (now, before)]
    named = [predictions.Named({"model": {"w": tensor}}) for tensor in tensors]
    entry = named[0].tensors["model.w"]
    assert floor.tensor_bits(entry, *named, set()) == pytest.approx(where + 27 * 32 * COLUMNS, rel=0.01)
    assert _bits(now, [_floats(generator, 8), before]) * N == pytest.approx(where + 27 * 32 * COLUMNS, rel=0.01)
    holed = _floats(generator, 8)
    holed[generator.random(holed.shape) < 0.5] = 0
    assert _bits(holed) == pytest.approx(1 + 27 / 2, abs=0.2)


def test_of_a_large_tensor_a_sample_of_what_changed_is_taken() -> None:
    generator = np.random.default_rng(13)
    before = torch.from_numpy(generator.standard_normal((8192, 64), dtype=np.float32))
    now = before.clone()
    now[1:65:2] = torch.from_numpy(generator.standard_normal((32, 64), dtype=np.float32))
    named = [predictions.Named({"model": {"w": tensor}}) for tensor in (now, before)]
    few = floor.tensor_bits(named[0].tensors["model.w"], *named, set())
    assert few == pytest.approx(8192 * floor.entropy(np.arange(8192) < 32) + 27 * 32 * 64, rel=0.05)
    now[:] = torch.from_numpy(generator.standard_normal((8192, 64), dtype=np.float32))
    assert floor.tensor_bits(named[0].tensors["model.w"], *named, set()) == pytest.approx(26.6 * now.numel(), rel=0.01)


def test_what_was_seen_before_or_is_a_rounding_costs_nothing() -> None:
    master = torch.randn(64, 64, generator=torch.Generator().manual_seed(6))
    state = {"model": {"w": master.bfloat16()}, "master": {"w": master}, "copy": master.clone()}
    now, seen = predictions.Named(state), set[bytes]()
    bits = {name: floor.tensor_bits(entry, now, None, seen) for name, entry in now.tensors.items()}
    assert bits["model.w"] == bits["copy"] == 0 < bits["master.w"]


def _model() -> nn.Module:
    torch.manual_seed(7)
    return nn.Sequential(nn.Embedding(512, 64), nn.Flatten(), nn.BatchNorm1d(64 * 4), nn.Linear(64 * 4, 64))


def _run(make: Any, steps: tuple[int, int]) -> list[dict[str, Any]]:
    """States of one run after so many steps: in the last of them half of the embedding's rows have no gradient."""
    model, generator = _model(), torch.Generator().manual_seed(8)
    optimizer, found = make(model.parameters()), []
    for step in range(1, steps[1] + 1):
        ids = torch.randint(512 if step <= steps[0] else 256, (512, 4), generator=generator)
        optimizer.zero_grad(set_to_none=True)
        model(ids).square().mean().backward()
        optimizer.step()
        if step in steps:
            found.append(copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict()}))
    return found


def _cost(found: list[dict[str, Any]], *, linked: bool = True) -> dict[str, float]:
    """Bits an element of each tensor of the second state. linked: whether the optimiser may be used."""
    before, now = (predictions.Named(state) for state in found)
    if not linked:
        before.links.clear()
    return {
        name: floor.tensor_bits(entry, now, before, set()) / max(1, entry.tensor.numel())
        for name, entry in now.tensors.items()
    }


def test_one_step_of_adamw_is_replayed_and_rows_without_gradient_cost_nothing() -> None:
    found = _run(lambda p: torch.optim.AdamW(p, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1), (10, 11))
    bits, plain = _cost(found), _cost(found, linked=False)
    for name in ("model.0.weight", "model.3.weight", "model.2.weight"):
        assert bits[name] < 1 < 10 < plain[name], name
    assert bits["optimizer.state.0.exp_avg_sq"] < 2 < 5 < plain["optimizer.state.0.exp_avg_sq"]
    assert bits["optimizer.state.0.exp_avg"] < 16 < 20 < plain["optimizer.state.0.exp_avg"]


@pytest.mark.parametrize("apart", [2, 10])
def test_steps_that_cannot_be_replayed_are_fitted(apart: int) -> None:
    found = _run(lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.0), (20, 20 + apart))
    assert _cost(found)["model.3.weight"] < _cost(found, linked=False)["model.3.weight"] - 0.4
    found = _run(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True), (20, 20 + apart))
    assert _cost(found)["model.3.weight"] < _cost(found, linked=False)["model.3.weight"] - 0.4


def test_rows_that_sparse_adam_touched_once_are_replayed() -> None:
    table, found = nn.Embedding(512, 64, sparse=True), []
    optimizer, generator = torch.optim.SparseAdam(table.parameters(), lr=0.01), torch.Generator().manual_seed(10)
    for step in range(1, 14):
        ids = torch.randint(512, (512,), generator=generator) if step <= 10 else torch.arange(100) + 100 * (step - 10)
        optimizer.zero_grad(set_to_none=True)
        (table(ids) * torch.randn(len(ids), 64, generator=generator)).sum().backward()
        optimizer.step()
        if step in (10, 13):
            found.append(copy.deepcopy({"model": table.state_dict(), "sparse": optimizer.state_dict()}))
    bits, plain = _cost(found), _cost(found, linked=False)
    for name in ("model.weight", "sparse.state.0.exp_avg_sq"):
        assert bits[name] < 3 < 10 < plain[name], name


def test_an_average_is_predicted_from_the_weights() -> None:
    found = _run(lambda p: torch.optim.SGD(p, lr=0.1), (20, 21))
    average = torch.randn(64, 256, generator=torch.Generator().manual_seed(9)) / 16
    for state in found:
        average = average.lerp(state["model"]["3.weight"], 0.01)
        state["ema"] = {"3.weight": average}
    bits = _cost(found)["ema.3.weight"]
    del found[1]["model"]["3.weight"]
    assert bits < 2 < 10 < _cost(found)["ema.3.weight"]


def test_slots_are_linked_to_the_weights_of_their_shape() -> None:
    state = _run(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), (1, 2))[1]
    links = predictions.Named(state).links
    weights = [links[f"optimizer.state.{n}.momentum_buffer"].weight for n in range(5)]
    assert weights == ["model.0.weight", "model.2.weight", "model.2.bias", "model.3.weight", "model.3.bias"]
    assert "model.2.running_mean" not in links


def test_no_codec_of_today_gets_below_the_floor() -> None:
    codec = Ckstore()
    for kind, chunks in kinds.buffers("small", 1 << 20):
        if not kind.endswith(("hand", "ids")):  # a master is no guess of sample_bits(), and words repeat as in text
            x, bases = ([_words(chunk, name) for chunk in chunks] for name in ("raw", "base"))
            mantissa = floor.MANTISSA.get(chunks[0].dtype, 0)
            pairs = zip(x, bases, strict=True)
            bits = sum(floor.sample_bits(a, [] if b is None else [b], mantissa) for a, b in pairs)
            stored = sum(codec.payload_bytes(codec.encode_chunk(chunk)) for chunk in chunks)
            # The codec has a table for each block of 2^15 symbols: that is worth a little.
            assert bits / 8 < 1.02 * stored, kind


def _words(chunk: Any, name: str) -> Any:
    data = getattr(chunk, name)
    return (
        None
        if data is None
        else data.view(f"u{chunk.item_bytes}").reshape(-1 if chunk.columns else 1, chunk.columns or -1)
    )
