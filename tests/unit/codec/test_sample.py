"""Samples, and the statistics of them."""

from __future__ import annotations

import numpy as np
import pytest

from ckstore._native import kernels
from ckstore.codec.sample import origin, profile, take
from ckstore.codec.scratch import Bytes
from codec_material import stepped, weights


def test_a_short_chunk_is_its_own_sample() -> None:
    data = np.arange(256, dtype=np.uint8)
    assert take(data, 4) is data


def test_a_sample_holds_whole_elements_from_all_over_the_chunk() -> None:
    numbers = np.arange(1 << 18, dtype="<u4")
    taken = take(numbers.view(np.uint8), 4).view("<u4")
    assert 8000 <= len(taken) <= 8200
    assert taken.min() < 100
    assert taken.max() > (1 << 18) - 4200
    columns = np.bincount(taken % 1024, minlength=1024)
    assert columns.min() > 0, "runs keep step with the rows of a matrix"


def test_every_long_length_can_be_sampled() -> None:
    for n in range(32_500, 32_530):
        assert len(take(np.zeros(n, np.uint8), 1)) > 0


def test_entropy_is_estimated_without_the_bias_of_a_small_sample() -> None:
    rng = np.random.default_rng(1)
    noise, coin = rng.integers(0, 256, 8128, np.uint8), rng.integers(0, 2, 8128, np.uint8)
    same = np.full(8128, 5, np.uint8)
    stats = profile(np.concatenate([noise, coin, same]), 3)
    assert 7.98 < stats[0].bits < 8.02
    assert 0.99 < stats[1].bits < 1.01
    assert abs(stats[2].bits) < 1e-6
    assert (stats[2].mode, stats[2].share, stats[2].zeros) == (5, 1.0, 0.0)
    assert 0.48 < stats[1].zeros < 0.52


def test_statistics_of_nothing_are_harmless() -> None:
    assert profile(np.empty(0, np.uint8), 2)[1].bits == 0.0


def test_the_origin_of_a_sample_is_the_cheapest_and_its_cost_is_what_is_said() -> None:
    def cost(data: Bytes, base: Bytes, at: int) -> float:
        symbols, bits = np.empty(n, np.uint8), np.empty(4 * n + kernels.BITS_SLACK, np.uint8)
        used = kernels.delta_split(data, base, 4, True, symbols, bits, at, 23)
        return profile(symbols, 1)[0].bits + 8 * used / n

    n = 20_000
    w = weights(n)
    for size in (1e-3, 1e-5, 1e-6):
        data, base = stepped(w, size).view(np.uint8), w.view(np.uint8)
        best, bits = origin(data, base, 4, 23)
        assert abs(bits - cost(data, base, best)) < 0.01
        assert all(cost(data, base, best + apart) > bits - 0.01 for apart in (-30, -9, -2, -1, 1, 2, 5, 9))


def test_statistics_are_of_samples_and_not_of_chunks() -> None:
    with pytest.raises(ValueError, match="sample"):
        profile(np.zeros(1 << 20, np.uint8), 1)
