"""NumPy arrays of a state that is being saved -> TensorViews."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckstore.adapters import strided
from ckstore.adapters.memory import Memory
from ckstore.adapters.numpy import dtypes
from ckstore.adapters.refusal import RefusedError
from ckstore.tensor import Path, TensorView

KIND = "numpy.ndarray"


def leaf(path: Path, value: strided.Array) -> tuple[TensorView, Memory]:
    """The view of one array. attrs: dtype (where the stored one does not say it), order (dims, outermost first)."""
    if type(value) not in (np.ndarray, np.memmap):
        raise RefusedError("subclasses of ndarray would come back as plain arrays; save numpy.asarray(x)")
    array = value.view(np.ndarray)
    described, stored = dtypes.describe(array.dtype), dtypes.storage_name(array.dtype)
    attrs: dict[str, Any] = {} if described == stored else {"dtype": described}
    if (order := strided.dense_order(array)) is not None:
        attrs["order"] = order
    mask = dtypes.significant(array.dtype) if stored.startswith("bytes:") else None
    read = strided.reader(array, None if mask is None or mask.all() else mask)
    return TensorView(path, KIND, stored, array.shape, read, attrs), memory(array, described, id(value))


def memory(array: strided.Array, described: Any, name: int) -> Memory:
    """Where `array` lies; an empty one lies nowhere and is the same as what has its name only."""
    address = array.ctypes.data if array.size else name
    return Memory("numpy", address, array.shape, array.strides, array.dtype.itemsize, (KIND, repr(described)))


def composite(value: strided.Array) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
    """Kind, attributes and parts of a masked array; None for any other."""
    if type(value) is not np.ma.MaskedArray:
        return None
    data = value.data
    if type(data) is not np.ndarray:
        raise RefusedError("a masked array over a subclass of ndarray would come back over a plain one")
    parts: dict[str, Any] = {"data": data}
    if value.mask is not np.ma.nomask:
        parts["mask"] = np.asarray(value.mask)
    fill = value._fill_value  # type: ignore[attr-defined]  # fill_value would create one where there is none
    if fill is not None:
        parts["fill_value"] = np.asarray(fill)
    return "numpy.masked", {"hard_mask": bool(value.hardmask)}, parts
