"""The choice among codecs: each kind of chunk gets the one that is known to be right for it."""

from __future__ import annotations

import inspect

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
import zstandard

from ckstore.codec.chunk import Reference
from ckstore.format.frame import CODEC_NAMES, ROLE_MASTER
from codec_material import N, as_bfloat16, previous, round_trip, stepped, view, weights

RNG = np.random.default_rng(3)


def _planes_with_zstd(data: npt.NDArray[np.generic], level: int) -> int:
    """What cutting into byte planes and zstd make of it."""
    width = data.dtype.itemsize
    rows = np.ascontiguousarray(data).view(np.uint8).reshape(-1, width).T
    return sum(len(zstandard.ZstdCompressor(level=level).compress(row.tobytes())) for row in rows)


def _codec(data: memoryview, dtype: str, *references: Reference) -> str:
    return CODEC_NAMES[round_trip(data, dtype, references).codec]


def test_weights_without_a_base_are_planes() -> None:
    for data, dtype in ((weights(), "float32"), (as_bfloat16(weights()), "bfloat16")):
        encoded = round_trip(view(data), dtype)
        assert CODEC_NAMES[encoded.codec] == "planes"
        assert len(encoded.payload) < _planes_with_zstd(data, 1)


def test_a_step_of_the_optimiser_is_a_difference_smaller_than_a_xor() -> None:
    w = weights()
    for data, base, dtype in ((stepped(w), w, "float32"), (as_bfloat16(stepped(w, 1e-3)), as_bfloat16(w), "bfloat16")):
        encoded = round_trip(view(data), dtype, [previous(dtype, base)])
        assert CODEC_NAMES[encoded.codec] == "delta_int"
        assert encoded.used == (0,)
        bits = np.uint32 if dtype == "float32" else np.uint16
        assert len(encoded.payload) < 0.98 * _planes_with_zstd(data.view(bits) ^ base.view(bits), 1)


def test_steps_of_one_size_are_recentred_and_changes_of_a_few_are_not() -> None:
    w = weights()
    for data, base, dtype in ((stepped(w), w, "float32"), (as_bfloat16(stepped(w, 1e-3)), as_bfloat16(w), "bfloat16")):
        assert round_trip(view(data), dtype, [previous(dtype, base)]).params[2] & 2
        few = np.where(RNG.random(N) < 0.05, data, base)
        assert not round_trip(view(few), dtype, [previous(dtype, base)]).params[2] & 2


def test_a_change_of_the_lowest_byte_is_a_xor_of_that_byte() -> None:
    w = weights()
    noise = RNG.integers(0, 256, N, np.uint32)
    changed = ((w.view(np.uint32) & ~np.uint32(255)) | noise).view(np.float32)
    encoded = round_trip(view(changed), "float32", [previous("float32", w)])
    assert CODEC_NAMES[encoded.codec] == "delta_xor"
    assert len(encoded.payload) < N + 100


def test_an_unrelated_base_is_not_used() -> None:
    moment, before = weights(seed=1), weights(seed=2)
    assert _codec(view(moment), "float32", previous("float32", before)) == "planes"


def test_the_better_of_two_bases_is_used() -> None:
    w = weights()
    references = [previous("float32", weights(seed=5)), previous("float32", stepped(w))]
    assert round_trip(view(w), "float32", references).used == (1,)


def test_a_rounding_of_a_master_costs_nothing() -> None:
    w = weights()
    rounded = as_bfloat16(w)
    master = Reference(ROLE_MASTER, "float32", view(w))
    encoded = round_trip(view(rounded), "bfloat16", [previous("bfloat16", as_bfloat16(stepped(w))), master])
    assert (CODEC_NAMES[encoded.codec], encoded.used, len(encoded.payload)) == ("round", (1,), 0)


def test_a_master_that_was_not_rounded_leaves_the_other_ways() -> None:
    w = weights()
    master = Reference(ROLE_MASTER, "float32", view(stepped(w)))
    assert _codec(view(as_bfloat16(w)), "bfloat16", master) == "planes"


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("sign", ["kept", "dropped"])
def test_pruned_weights_beat_zstd_on_planes(share: float, sign: str) -> None:
    mask = (RNG.random(N) > share).astype(np.float32)
    pruned = weights() * mask + np.float32(0 if sign == "kept" else 0.0)
    pruned = np.where(pruned == 0, np.float32(0), pruned) if sign == "dropped" else pruned
    for data, dtype in ((pruned, "float32"), (as_bfloat16(pruned), "bfloat16")):
        best = min(
            _planes_with_zstd(data, 1), _planes_with_zstd(data, 3), len(zstandard.compress(bytes(view(data)), 3))
        )
        assert len(round_trip(view(data), dtype).payload) < 0.9 * best


def test_rows_that_did_not_change_cost_next_to_nothing() -> None:
    before = weights().reshape(-1, 64)
    after = before.copy()
    touched = RNG.random(len(before)) < 0.02
    after[touched] = stepped(after[touched].reshape(-1)).reshape(-1, 64)
    encoded = round_trip(view(after.reshape(-1)), "float32", [previous("float32", before.reshape(-1))])
    assert len(encoded.payload) < 4 * 64 * touched.sum() + 400


TEXT = np.frombuffer(inspect.getsource(inspect).encode()[:N], np.uint8)


@pytest.mark.parametrize(
    ("dtype", "data"),
    [
        ("int32", TEXT.view(np.int32)),
        ("float32", TEXT[: N // 2].astype(np.float32)),
        ("bfloat16", as_bfloat16(TEXT.astype(np.float32))),
        ("int64", np.cumsum(RNG.integers(0, 50, N)).astype(np.int64)),
        ("int64", RNG.zipf(1.3, N).clip(0, 50_000).astype(np.int64)),
        ("int32", np.tile(np.arange(512, dtype=np.int32), N // 512)),
        ("uint8", np.frombuffer((b"def f(x):\n    return x + %d\n" * 2000)[:N], np.uint8)),
        ("bool", (RNG.random(N) < 0.1)),
        ("bool", np.tri(181, dtype=bool).reshape(-1)),
        ("bytes:12", np.frombuffer((b"abc%d---end-" * 4000)[: 12 * 2000], np.uint8)),
        ("int8", np.clip(RNG.normal(0, 20, N), -127, 127).astype(np.int8)),
    ],
    ids=[
        "text as integers",
        "codes as floats",
        "codes as bfloat16",
        "sums",
        "tokens",
        "positions",
        "text",
        "mask",
        "triangle",
        "records",
        "quantised",
    ],
)
def test_other_data_is_about_as_small_as_zstd_makes_it(dtype: str, data: npt.NDArray[np.generic]) -> None:
    best = min(len(zstandard.compress(bytes(view(data)), 3)), _planes_with_zstd(data, 1), _planes_with_zstd(data, 3))
    assert len(round_trip(view(data), dtype).payload) <= 1.05 * best + 64


def test_integers_a_step_apart_are_differences() -> None:
    counts = RNG.integers(0, 1 << 40, N).astype(np.int64)
    assert _codec(view(counts + 1), "int64", previous("int64", counts)) in ("delta_int", "delta_xor")
    assert len(round_trip(view(counts + 1), "int64", [previous("int64", counts)]).payload) < 64


def test_small_floats_are_coded_too() -> None:
    quarter = weights().astype(ml_dtypes.float8_e4m3fn).view(np.uint8)
    assert len(round_trip(view(quarter), "float8_e4m3fn").payload) < 0.97 * N


def test_a_choice_depends_on_nothing_but_the_chunk() -> None:
    data, base = stepped(weights()), previous("float32", weights())
    first = round_trip(view(data), "float32", [base])
    round_trip(view(as_bfloat16(data)), "bfloat16")
    again = round_trip(view(data), "float32", [base])
    assert (first.codec, first.params, bytes(first.payload)) == (again.codec, again.params, bytes(again.payload))
