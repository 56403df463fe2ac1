"""How dtypes are looked at."""

from __future__ import annotations

import pytest

from ckstore.codec.kinds import OPAQUE, Kind, kind_of
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
