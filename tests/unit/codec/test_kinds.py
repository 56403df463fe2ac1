"""How dtypes are looked at."""

from __future__ import annotations

import pytest

from ckstore.codec.delta import MANTISSAS
from ckstore.codec.kinds import OPAQUE, Kind, kind_of, mantissa_of
from ckstore.tensor import ITEM_BYTES


@pytest.mark.parametrize("dtype", ITEM_BYTES)
def test_every_dtype_has_a_kind_whose_width_divides_its_items(dtype: str) -> None:
    kind = kind_of(dtype, 1 << 10)
    assert ITEM_BYTES[dtype] == kind.width * (2 if dtype.startswith("complex") else 1)
    assert kind.is_float == (dtype.startswith(("float", "bfloat", "complex")) and dtype != "float8_e8m0fnu")


def test_unknown_dtypes_and_broken_lengths_are_opaque_bytes() -> None:
    assert kind_of("bytes:12", 24) == OPAQUE
    assert kind_of("int4", 8) == OPAQUE
    assert kind_of("float32", 7) == OPAQUE
    assert kind_of("float32", 8) == Kind(4, True)


def test_floats_with_an_exponent_of_some_width_have_a_mantissa() -> None:
    found = {dtype: mantissa_of(dtype) for dtype in ITEM_BYTES}
    assert {dtype: m for dtype, m in found.items() if m is not None} == {
        "float64": 52, "complex128": 52, "float32": 23, "complex64": 23, "float16": 10, "complex32": 10, "bfloat16": 7,
    }  # fmt: skip
    for dtype, mantissa in found.items():
        assert mantissa is None or mantissa in MANTISSAS[kind_of(dtype, 16).width]
