"""Torch states as NumPy, NumPy states as torch, and everything without torch."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from ckstore.errors import UsageError
from unit.adapters.memory_engine import Saved
from unit.adapters.sameness import INTEGERS, assert_same, tensor_bytes

BOTH = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "complex64", "complex128", "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
    "float8_e8m0fnu",
]  # fmt: skip


@pytest.mark.parametrize("name", BOTH)
def test_a_dtype_that_both_have_crosses_bit_by_bit(name: str) -> None:
    dtype = getattr(torch, name)
    raw = torch.from_numpy(np.random.default_rng(2).integers(0, 256, 24 * dtype.itemsize, np.uint8))
    tensor = raw.view(INTEGERS[dtype.itemsize]).view(dtype).reshape(4, 6)
    array = Saved(tensor).load(framework="numpy")
    assert type(array) is np.ndarray
    assert array.dtype.name == name
    assert array.tobytes() == tensor_bytes(tensor)
    assert_same(tensor, Saved(array).load(framework="torch"))


def test_parameters_and_layouts_become_plain_arrays() -> None:
    state = {"p": torch.nn.Parameter(torch.ones(2, 3)), "t": torch.arange(6.0).reshape(2, 3).t()}
    back = Saved(state).load(framework="numpy")
    assert_same({"p": np.ones((2, 3), np.float32), "t": np.arange(6, dtype=np.float32).reshape(2, 3).T.copy()}, back)


def test_arrays_of_any_order_become_contiguous_tensors() -> None:
    back = Saved({"f": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "n": 1}).load(framework="torch")
    assert back["f"].is_contiguous()
    assert_same({"f": torch.arange(6, dtype=torch.float64).reshape(2, 3), "n": 1}, back)


@pytest.mark.parametrize(
    "array", [np.zeros(1, "M8[s]"), np.zeros(1, ">f4"), np.zeros(1, "S3"), np.zeros(1, "g"), np.zeros(1, [("a", "i4")]),
              np.zeros(1, ml_dtypes.int4), np.zeros(1, ml_dtypes.float8_e3m4)],
    ids=lambda array: str(array.dtype),
)  # fmt: skip
def test_what_torch_has_not_is_refused_with_its_path(array: Any) -> None:
    with pytest.raises(UsageError, match=r"'a.0'|float8_e3m4"):
        Saved({"a": [array]}).load(framework="torch")


@pytest.mark.parametrize("dtype", [torch.uint4, torch.bits8, torch.float4_e2m1fn_x2], ids=str)
def test_what_numpy_has_not_is_refused_with_its_path(dtype: torch.dtype) -> None:
    tensor = torch.zeros(4, dtype=torch.uint8).view(dtype)
    with pytest.raises(UsageError, match=r"'a.0'"):
        Saved({"a": [tensor]}).load(framework="numpy")


def test_the_other_framework_is_named_exactly() -> None:
    with pytest.raises(UsageError, match="framework must be"):
        Saved({}).load(framework="jax")


def test_numpy_states_never_import_torch() -> None:
    program = """
import sys
sys.path[:0] = ["tests"]
import numpy as np
import ckstore
from unit.adapters.memory_engine import Saved
masked = np.ma.masked_greater(np.arange(3), 1)
state = {"a": np.ones(3), "b": [1, {"c": (np.zeros(2), None)}], "m": masked, "d": np.dtype("f4")}
saved = Saved(state)
saved.load(); saved.load(into=state); saved.load(framework="numpy")
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_torch_states_load_as_numpy_where_torch_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"t": torch.ones(2), "size": torch.Size([1]), "dtype": torch.float32, "s": torch.eye(2).to_sparse()}
    saved = Saved(state)
    for name in [name for name in sys.modules if name.startswith("ckstore.adapters.torch")]:
        monkeypatch.delitem(sys.modules, name)
    import ckstore.adapters as adapters

    monkeypatch.delattr(adapters, "torch")
    monkeypatch.setitem(sys.modules, "ckstore.adapters.torch", None)
    back = saved.load(framework="numpy")
    assert back["size"] == (1,)
    assert back["dtype"] == "torch.float32"
    assert back["s"]["kind"] == "torch.sparse_coo"
    with pytest.raises(UsageError, match=r"'t' is a torch tensor: install torch"):
        saved.load()
    with pytest.raises(UsageError, match=r"'size'.*install torch"):
        saved.load(select=["size"])
