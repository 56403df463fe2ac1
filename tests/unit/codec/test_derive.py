"""Chunks that follow from one value, or from a master."""

from __future__ import annotations

import numpy as np
import pytest

from ckstore.codec import derive
from ckstore.codec.scratch import as_bytes
from ckstore.errors import FormatError, UnsupportedError
from codec_material import as_bfloat16, weights


@pytest.mark.parametrize(
    ("dtype", "item"),
    [("float32", b"abcd"), ("complex128", bytes(range(16))), ("bool", b"\1"), ("bytes:3", b"xyz"), ("new", b"q")],
)
def test_a_repeated_item_is_one_value(dtype: str, item: bytes) -> None:
    for n in (1, 2, 4095, 4096, 4097, 9000):
        raw = item * n
        assert derive.fill_value(as_bytes(raw), dtype) == item
        out = np.zeros(len(raw), np.uint8)
        derive.fill(item, out)
        assert out.tobytes() == raw


def test_items_wider_than_a_value_may_be_are_taken_byte_by_byte() -> None:
    assert derive.fill_value(as_bytes(bytes(range(20)) * 5), "bytes:20") is None
    assert derive.fill_value(as_bytes(bytes(100)), "bytes:20") == b"\0"
    assert derive.fill_value(as_bytes(b"abcd" * 3 + b"a"), "float32") is None


def test_a_value_that_does_not_fit_is_refused() -> None:
    for value, n_bytes in ((b"", 4), (bytes(17), 17), (b"abc", 4)):
        with pytest.raises(FormatError):
            derive.fill(value, np.zeros(n_bytes, np.uint8))


@pytest.mark.parametrize(
    ("source", "target"), [("float32", "bfloat16"), ("float32", "float16"), ("float64", "float32")]
)
def test_a_rounding_is_found_and_undone(source: str, target: str) -> None:
    master = weights(3000).astype(source)
    rounded = as_bfloat16(master) if target == "bfloat16" else master.astype(target)
    raw = rounded.view(np.uint8)
    kind = derive.rounding(raw, target, master.view(np.uint8), source)
    assert kind is not None
    out = np.zeros(len(raw), np.uint8)
    derive.round_into(bytes([kind]), master.view(np.uint8), out)
    assert out.tobytes() == raw.tobytes()


@pytest.mark.parametrize("at", [0, 100, 2999])
def test_one_element_that_is_no_rounding_means_none(at: int) -> None:
    master = weights(3000)
    raw = as_bfloat16(master)
    raw[at] ^= 1
    assert derive.rounding(raw.view(np.uint8), "bfloat16", master.view(np.uint8), "float32") is None


def test_a_master_of_another_dtype_or_length_is_none() -> None:
    master = weights(100)
    raw = as_bfloat16(master).view(np.uint8)
    assert derive.rounding(raw, "bfloat16", master.view(np.uint8), "int32") is None
    assert derive.rounding(raw, "bfloat16", master[:99].view(np.uint8), "float32") is None
    assert derive.rounding(raw[:3], "bfloat16", master.view(np.uint8)[:6], "float32") is None


def test_a_rounding_that_does_not_fit_is_refused() -> None:
    master = np.zeros(24, np.uint8)
    for params, n_base, n_out in ((b"", 8, 4), (b"\0\0", 8, 4), (b"\0", 8, 6), (b"\0", 6, 3), (b"\2", 12, 6)):
        with pytest.raises(FormatError):
            derive.round_into(params, master[:n_base], np.zeros(n_out, np.uint8))
    with pytest.raises(UnsupportedError):
        derive.round_into(b"\3", master[:8], np.zeros(4, np.uint8))
