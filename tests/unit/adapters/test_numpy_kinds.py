"""Every kind of NumPy array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from ckstore.adapters import tree
from ckstore.errors import FormatError, UnsupportedError, UsageError
from ckstore.format.records import TensorRow
from ckstore.tensor import ITEM_BYTES, TensorView
from unit.adapters.memory_engine import Saved, round_trip
from unit.adapters.sameness import assert_same

NATIVE = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "complex64", "complex128",
]  # fmt: skip
ML = [
    name for name, kind in sorted(vars(ml_dtypes).items()) if isinstance(kind, type) and issubclass(kind, np.generic)
]  # fmt: skip
PADDED = np.dtype([("a", "i1"), ("b", "<f8", (2,)), ("c", [("d", ">i2"), ("e", "U3")])], align=True)


def any_bytes(dtype: Any, shape: tuple[int, ...]) -> Any:
    """An array of arbitrary bits: NaN payloads, negative zeros and all."""
    dtype = np.dtype(dtype)
    data = np.random.default_rng(0).bytes(int(np.prod(shape)) * dtype.itemsize)
    return np.ndarray(shape, dtype, bytearray(data))


def the_view(array: Any) -> TensorView:
    row = tree.flatten(array)[0]
    assert isinstance(row, TensorView)
    return row


@pytest.mark.parametrize("name", NATIVE + ML)
def test_every_dtype_keeps_its_bits(name: str) -> None:
    dtype = np.dtype(getattr(ml_dtypes, name) if name in ML else name)
    array = any_bytes(dtype, (5, 3))
    assert_same(array, round_trip(array))
    if name in ITEM_BYTES:
        assert the_view(array).dtype == name
        assert the_view(array).attrs == {}
    else:
        assert the_view(array).dtype == f"bytes:{dtype.itemsize}"


@pytest.mark.parametrize("dtype", [">f4", ">i8", ">c16", ">U3", ">M8[s]", ">f2"])
def test_big_endian_arrays_stay_big_endian(dtype: str) -> None:
    array = (
        any_bytes("u1", (np.dtype(dtype).itemsize * 6,)).view(dtype) if dtype != ">U3" else np.array(["añ✓"] * 6, dtype)
    )
    back = round_trip(array)
    assert not back.dtype.isnative
    assert_same(array, back)


@pytest.mark.parametrize("dtype", ["M8[s]", "M8[25s]", "m8[ns]", "M8[D]", "m8"])
def test_times_keep_their_unit_and_are_stored_as_integers(dtype: str) -> None:
    array = any_bytes("i8", (7,)).view(dtype)
    assert the_view(array).dtype == "int64"
    assert_same(array, round_trip(array))


@pytest.mark.parametrize(
    "array", [np.array([b"a", b"bcd"]), np.array(["a", "✓d"]), np.array([b"\0x"], "V2"), np.array([""])], ids=repr
)
def test_fixed_strings_and_void_come_back(array: Any) -> None:
    assert_same(array, round_trip(array))


def test_structured_arrays_come_back_with_their_layout() -> None:
    array = np.zeros(4, PADDED)
    array["b"] = np.arange(8).reshape(4, 2)
    array["c"]["e"] = "añ✓"
    back = round_trip(array)
    assert_same(array, back)
    assert back.dtype.isalignedstruct
    assert back.dtype.itemsize == PADDED.itemsize
    packed = np.array([(1, 2.5)], [("x", "u1"), ("y", "<f4")])
    assert_same(packed, round_trip(packed))


def test_padding_is_read_as_zero_whatever_it_holds() -> None:
    clean, dirty = np.zeros(9, PADDED), np.frombuffer(bytearray(b"\xaa" * 9 * PADDED.itemsize), PADDED)
    for name in ("a", "b"):
        dirty[name] = 0
    for name in ("d", "e"):
        dirty["c"][name] = 0 if name == "d" else ""
    assert Saved(clean).data == Saved(dirty).data
    assert bytes(dirty.tobytes()) != bytes(clean.tobytes())  # the state itself is left alone


def test_long_doubles_come_back_and_their_padding_is_zeroed() -> None:
    array = np.array(["0.1", "-0.0", "nan", "1e4000"], np.longdouble)
    assert_same(array, round_trip(array))
    if np.finfo(np.longdouble).nmant == 63:
        dirty = array.copy()
        dirty.view("u1").reshape(-1, array.itemsize)[:, 10:] = 0xAA
        assert Saved(array).data == Saved(dirty).data
    assert_same(array.astype(np.clongdouble), round_trip(array.astype(np.clongdouble)))


def test_a_long_double_of_another_platform_is_refused() -> None:
    row = TensorRow((), "numpy.ndarray", "bytes:16", [1], {"dtype": ["longdouble", 16, 112]}, None, [])
    with pytest.raises(UnsupportedError, match="platform"):
        tree.destinations([row])


def test_read_only_arrays_and_memory_maps_are_plain_arrays(tmp_path: Path) -> None:
    array = np.arange(12.0)
    array.flags.writeable = False
    back = round_trip(array)
    assert_same(array, back)
    assert back.flags.writeable
    mapped = np.memmap(tmp_path / "map", np.float32, "w+", shape=(3, 4))
    mapped[:] = 7
    assert_same(np.full((3, 4), 7, np.float32), round_trip(mapped))


def test_masked_arrays_come_back_with_mask_and_fill_value() -> None:
    array = np.ma.MaskedArray([1.5, 2.5, 3.5], [False, True, False], fill_value=-1.0)
    back = round_trip({"m": array})["m"]
    assert type(back) is np.ma.MaskedArray
    assert_same(array, back)
    assert back.fill_value == -1.0
    bare = np.ma.MaskedArray(np.arange(3), hard_mask=True)
    back = round_trip(bare)
    assert back.mask is np.ma.nomask
    assert back.hardmask
    assert back._fill_value is None
    records = np.ma.MaskedArray(np.zeros(2, [("a", "i4"), ("b", "f8")]), mask=[(True, False), (False, True)])
    assert_same(records, round_trip(records))


REFUSED: list[tuple[Any, str]] = [
    (np.array([object()]), "object arrays"),
    (np.zeros(2, [("a", "O")]), "object arrays"),
    (np.array(["a"], np.dtypes.StringDType()), "StringDType"),
    (np.ones((1, 1)).view(np.matrix), "subclasses"),
    (np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), "subclasses"),
    (np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]).view(np.ndarray), "recarray"),
    (np.zeros(2, {"names": ["a"], "formats": ["i4"], "titles": ["T"]}), "title"),
    (np.zeros(2, "V0"), "0 bytes"),
    (np.zeros(1, f"S{(1 << 20) + 1}"), "1 MiB"),
    (np.ma.masked, "subclass"),
]  # fmt: skip


@pytest.mark.parametrize(("array", "reason"), REFUSED, ids=lambda part: str(part)[:20])
def test_arrays_that_are_not_plain_data_are_refused_with_their_path(array: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=r"'a.0'") as caught:
        tree.flatten({"a": [array]})
    assert reason in caught.value.message


def test_object_arrays_can_be_pickled_when_asked() -> None:
    array = np.array([{"a": 1}, None], dtype=object)
    back = round_trip({"x": array}, allow_pickle=True)["x"]
    assert back.tolist() == array.tolist()


MALFORMED: list[tuple[str, list[int], dict[str, Any]]] = [
    ("float31", [1], {}),
    ("bytes:0", [1], {}),
    ("bytes:x", [1], {}),
    ("float32", [2, 3], {"order": [0, 0]}),
    ("float32", [2, 3], {"order": [0]}),
    ("float32", [2, 3], {"order": "10"}),
    ("float32", [2], {"dtype": "float64"}),
    ("bytes:8", [2], {"dtype": "float64"}),
    ("bytes:8", [2], {"dtype": "O"}),
    ("bytes:4", [2], {}),
    ("float32", [2], {"dtype": ["struct"]}),
]


@pytest.mark.parametrize(("dtype", "shape", "attrs"), MALFORMED, ids=str)
def test_malformed_rows_are_format_errors(dtype: str, shape: list[int], attrs: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        tree.destinations([TensorRow(("a",), "numpy.ndarray", dtype, shape, attrs, None, [])])
