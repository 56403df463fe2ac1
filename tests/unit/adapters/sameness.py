"""Whether two states are the same to the last bit: types, keys, order, memory layout and bytes."""

from __future__ import annotations

import struct
from collections import OrderedDict, defaultdict
from typing import Any

import numpy as np
import torch

INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.complex128}


def assert_same(a: Any, b: Any, at: str = "state") -> None:
    """Raise AssertionError naming the first difference."""
    assert type(a) is type(b), f"{at}: {type(a)} and {type(b)}"
    if isinstance(a, dict):
        assert [(type(key), key) for key in a] == [(type(key), key) for key in b], at
        for key in a:
            assert_same(a[key], b[key], f"{at}.{key}")
        assert getattr(a, "_metadata", None) == getattr(b, "_metadata", None), at
        assert not isinstance(a, defaultdict) or a.default_factory is b.default_factory, at
        assert isinstance(a, OrderedDict) == isinstance(b, OrderedDict)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), at
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{at}.{i}")
    elif isinstance(a, torch.Tensor):
        _tensors(a, b, at)
    elif isinstance(a, np.ndarray):
        _arrays(a, b, at)
    elif isinstance(a, np.generic):
        _arrays(np.asarray(a), np.asarray(b), at)
    elif isinstance(a, float):
        assert struct.pack("<d", a) == struct.pack("<d", b), at
    elif isinstance(a, complex):
        assert struct.pack("<dd", a.real, a.imag) == struct.pack("<dd", b.real, b.imag), at
    else:
        assert a == b, at


def tensor_bytes(tensor: torch.Tensor) -> bytes:
    """The bytes of a dense tensor in logical C order."""
    plain = tensor.detach().resolve_conj().resolve_neg()
    return plain.view(INTEGERS[plain.dtype.itemsize]).numpy().tobytes()


def _tensors(a: torch.Tensor, b: torch.Tensor, at: str) -> None:
    assert (a.dtype, a.shape, a.layout, a.requires_grad) == (b.dtype, b.shape, b.layout, b.requires_grad), at
    if a.layout is torch.sparse_coo:
        assert a.is_coalesced() == b.is_coalesced(), at
        _tensors(a.detach()._indices(), b.detach()._indices(), at)
        _tensors(a.detach()._values(), b.detach()._values(), at)
    elif a.layout is torch.strided and not a.is_quantized:
        assert tensor_bytes(a) == tensor_bytes(b), at


def _arrays(a: Any, b: Any, at: str) -> None:
    assert (a.dtype, a.shape) == (b.dtype, b.shape), f"{at}: {a.dtype} {a.shape} and {b.dtype} {b.shape}"
    assert a.dtype.isnative == b.dtype.isnative, at
    if a.dtype.names is not None and not isinstance(a, np.ma.MaskedArray):
        for name in a.dtype.names:
            _arrays(a[name], b[name], f"{at}[{name}]")
    elif isinstance(a, np.ma.MaskedArray):
        _arrays(a.data, b.data, at)
        _arrays(np.ma.getmaskarray(a), np.ma.getmaskarray(b), at)
    elif a.dtype.type in (np.longdouble, np.clongdouble):
        assert a.astype(a.dtype.newbyteorder("=")).tolist().__repr__() == b.tolist().__repr__(), (
            at
        )  # padding may differ
    else:
        assert a.tobytes() == b.tobytes(), at
