"""Plain values <-> bytes."""

from __future__ import annotations

import enum
import math
import random
import struct
from collections import OrderedDict
from typing import Any

import ml_dtypes
import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ckstore.adapters import plain
from ckstore.adapters.refusal import RefusedError
from ckstore.errors import CkError, FormatError, UsageError
from unit.adapters.sameness import assert_same


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


Shade = enum.Enum("Shade", [("GREY", 1), ("DARK", 1)])


class Level(enum.IntEnum):
    LOW = 1


class Bits(enum.Flag):
    A = 1
    B = 2


STRUCT = np.dtype([("a", "i1"), ("b", "<f8")], align=True)

VALUES: list[Any] = [
    None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, 10**400, -(10**400),
    0.0, -0.0, math.inf, -math.inf, 1e-320, "", "text", "ünïcode ✓", "lone \ud800 surrogate", b"", b"\x00\xff",
    bytearray(b"abc"), 1j, complex(-0.0, math.inf), [], (), [1, [2, (3, [4])]], (1, [2], ()), slice(1, None, -2),
    slice(None), range(3, 30, 4), Colour.RED, Colour.BLUE, Level.LOW, Bits.A, random.Random(3).getstate(),
    torch.Size([]), torch.Size([2, 3]), torch.float32, torch.bfloat16, torch.device("cpu"), torch.device("cuda:1"),
    torch.channels_last, torch.preserve_format, torch.strided, torch.sparse_csr, torch.per_tensor_affine,
    np.float32(1.5), np.float64(-0.0), np.int8(-3), np.bool_(True), np.complex64(1 + 2j), np.longdouble("0.1"),
    np.str_("abc"), np.str_(""), np.bytes_(b"abc"), np.datetime64("2024-05-06T07:08", "m"), np.datetime64("NaT", "25s"),
    np.timedelta64(5, "ns"), np.timedelta64(5), ml_dtypes.bfloat16(1.5), ml_dtypes.float8_e4m3fn(2), ml_dtypes.int4(-3),
    np.void(b"abc"), np.array([(1, 2.0)], STRUCT)[0],
    np.dtype("float32"), np.dtype(">f4"), np.dtype("M8[25s]"), np.dtype("S7"), np.dtype("U7"), np.dtype("V7"),
    np.dtype("longdouble"), np.dtype(ml_dtypes.float4_e2m1fn), STRUCT,
    np.dtype([("x", ">i2", (2, 3)), ("y", [("z", "U3")])]),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}-{value!r:.20}")
def test_a_plain_value_comes_back_exactly(value: Any) -> None:
    assert_same(value, plain.unpack(plain.pack(value)))


def test_a_structured_dtype_keeps_offsets_and_alignment() -> None:
    back = plain.unpack(plain.pack(STRUCT))
    assert back.isalignedstruct
    assert back.fields["b"][1] == 8
    assert back.itemsize == 16


@pytest.mark.parametrize("bits", [0x7FF8000000000000, 0x7FF0000000000001, 0xFFF4DEAD0000BEEF, 0x7FF8123456789ABC])
def test_the_payload_of_a_nan_survives(bits: int) -> None:
    value = struct.unpack("<d", struct.pack("<Q", bits))[0]
    assert struct.pack("<d", plain.unpack(plain.pack(value))) == struct.pack("<Q", bits)
    assert struct.pack("<d", plain.unpack(plain.pack([value]))[0]) == struct.pack("<Q", bits)


def test_an_alias_of_an_enum_comes_back_as_its_member() -> None:
    assert plain.unpack(plain.pack(Shade["DARK"])) is Shade.GREY


def test_padding_of_a_structured_scalar_is_zeroed() -> None:
    items = np.frombuffer(b"\xaa" * 16, STRUCT).copy()
    items["a"], items["b"] = 1, 2.0
    clean = np.zeros(1, STRUCT)
    clean["a"], clean["b"] = 1, 2.0
    assert plain.pack(items[0]) == plain.pack(clean[0])


class Subclass(int):
    pass


def local_enum() -> Any:
    class Local(enum.Enum):
        X = 1

    return Local.X


REFUSED = [
    object(), {1}, {}, Subclass(3), local_enum(), Bits.A | Bits.B, np.ones(2), torch.ones(2), [1, [object()]], len,
    slice("a"), slice(2**70), np.array([(1, 2.0)], STRUCT).view(np.recarray)[0], np.dtype("O"), np.dtypes.StringDType(),
    torch.Generator(), memoryview(b"x"),
]  # fmt: skip


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_what_is_not_plain_is_refused(value: Any) -> None:
    with pytest.raises(RefusedError):
        plain.pack(value)


def test_lists_nested_too_deeply_are_refused() -> None:
    value: list[Any] = []
    for _ in range(plain.MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(RefusedError, match="nested deeper"):
        plain.pack(value)
    itself: list[Any] = []
    itself.append(itself)
    with pytest.raises(RefusedError, match="nested deeper"):
        plain.pack(itself)


def test_the_deepest_list_allowed_comes_back() -> None:
    value: list[Any] = []
    for _ in range(plain.MAX_DEPTH - 1):
        value = [value]
    assert plain.unpack(plain.pack(value)) == value


def test_dicts_are_plain_only_where_asked_and_keep_their_kind() -> None:
    value = OrderedDict([("", {"version": 1}), ("sub", {"version": 2, "x": (1, None)})])
    back = plain.unpack(plain.pack(value, dicts=True))
    assert type(back) is OrderedDict
    assert list(back.items()) == list(value.items())


def test_without_torch_its_values_become_tuples_and_text() -> None:
    value = [torch.Size([2, 3]), torch.float32, torch.device("cuda:1"), torch.channels_last]
    data = plain.pack(value)
    assert plain.unpack(data, without_torch=True) == [(2, 3), "torch.float32", "cuda:1", "torch.channels_last"]


def test_an_enum_that_is_not_imported_is_refused_and_nothing_is_imported() -> None:
    import sys

    data = msgspec.msgpack.encode([plain.ENUM, "colorsys:Colour", "RED"])
    sys.modules.pop("colorsys", None)
    with pytest.raises(UsageError, match="import its module first"):
        plain.unpack(data)
    assert "colorsys" not in sys.modules
    with pytest.raises(UsageError, match="no longer has"):
        plain.unpack(msgspec.msgpack.encode([plain.ENUM, f"{__name__}:Colour", "GREEN"]))


MALFORMED: list[Any] = [
    [], ["x"], [99], [-1], [True, 1], {}, {"a": 1}, [plain.INT], [plain.INT, "1"], [plain.INT, b"1", 2],
    [plain.STR, "x"], [plain.STR, b"\xff"], [plain.COMPLEX, b"123"], [plain.COMPLEX, 1.0],
    [plain.BYTEARRAY, 1 << 40], [plain.SLICE, 1],
    [plain.RANGE, 1, 2, 0], [plain.RANGE, "a", "b", "c"], [plain.ENUM, 1, 2], [plain.ENUM, "a"], [plain.DICT, 1],
    [plain.DICT, [plain.LIST], 1], [plain.NUMPY_SCALAR, "float32", b"123"], [plain.NUMPY_SCALAR, "object", b""],
    [plain.NUMPY_SCALAR, "float32", "abcd"], [plain.NUMPY_DTYPE, "O"], [plain.NUMPY_DTYPE, ["S", -1]],
    [plain.NUMPY_DTYPE, ["S", 1 << 60]], [plain.NUMPY_DTYPE, ["struct", 8, False, [["a", 4, "int64"]]]],
    [plain.NUMPY_DTYPE, ["struct", 8, False, "x"]], [plain.NUMPY_DTYPE, [">"]],
    [plain.NUMPY_DTYPE, ["array", 3, "int8"]], [plain.TORCH, "Size", [-1]], [plain.TORCH, "Size", "x"],
    [plain.TORCH, "device", "x"], [plain.TORCH, "dtype", "a.b"], [plain.TORCH, "device"], [plain.TORCH, 3, 4],
]  # fmt: skip


@pytest.mark.parametrize("raw", MALFORMED, ids=str)
def test_malformed_values_are_format_errors(raw: Any) -> None:
    with pytest.raises(FormatError):
        plain.unpack(msgspec.msgpack.encode(raw))


def test_a_torch_name_that_is_not_there_is_refused() -> None:
    for kind, name in [("dtype", "float3"), ("layout", "nn"), ("memory_format", "load"), ("save", "save")]:
        with pytest.raises(UsageError, match="has no"):
            plain.unpack(msgspec.msgpack.encode([plain.TORCH, kind, name]))


def test_deeply_nested_bytes_are_a_format_error() -> None:
    for data in (
        b"\x91" * 100_000 + b"\xc0",
        b"\x92\x00" * 300 + b"\xc0",
        b"\xdd\xff\xff\xff\xff",
        b"\xc1",
        b"",
        b"\xc0\xc0",
    ):
        with pytest.raises(FormatError):
            plain.unpack(data)


def test_a_dtype_nested_without_end_is_a_format_error() -> None:
    described: Any = "int8"
    for _ in range(60):
        described = [">", described]
    with pytest.raises(FormatError):
        plain.unpack(msgspec.msgpack.encode([plain.NUMPY_DTYPE, described]))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_an_error_of_ours(data: bytes) -> None:
    try:
        plain.unpack(data)
    except CkError:
        pass


@given(
    st.recursive(
        st.integers(0, len(VALUES) - 1).map(VALUES.__getitem__),
        lambda children: st.lists(children) | st.lists(children).map(tuple),
    )
)
def test_any_nesting_of_plain_values_comes_back(value: Any) -> None:
    assert_same(value, plain.unpack(plain.pack(value)))
