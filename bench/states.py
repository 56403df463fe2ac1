"""A training state taken apart into named tensors and the rest, put together again, and compared bit for bit."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True, slots=True)
class NamedTensor:
    """One tensor of a state: its dotted path, and the tensor itself."""

    name: str
    tensor: torch.Tensor

    @property
    def dtype(self) -> str:
        """The dtype without `torch.`."""
        return str(self.tensor.dtype).removeprefix("torch.")

    @property
    def raw(self) -> np.ndarray:
        """The bytes of the tensor in C order: a view where the tensor is contiguous."""
        return self.tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()


def named_tensors(state: Any) -> list[NamedTensor]:
    """Every tensor of `state` once, in order; a tensor object that occurs twice keeps its first name."""
    seen: set[int] = set()
    found = []
    for name, leaf in _leaves(state, ""):
        if isinstance(leaf, torch.Tensor) and id(leaf) not in seen:
            seen.add(id(leaf))
            found.append(NamedTensor(name, leaf))
    return found


def logical_bytes(state: Any) -> int:
    """Bytes of all tensors of `state`: the denominator of every share in these benchmarks."""
    return sum(item.tensor.numel() * item.tensor.element_size() for item in named_tensors(state))


def skeleton(state: Any, *, names: bool = False) -> bytes:
    """`state` pickled with each tensor replaced by its position in named_tensors(), or by its name."""
    places = {id(item.tensor): item.name if names else n for n, item in enumerate(named_tensors(state))}
    out = io.BytesIO()
    _Pickler(out, places).dump(state)
    return out.getvalue()


def assemble(bones: bytes, tensors: Any) -> Any:
    """Inverse of skeleton(): `tensors` by position or name. Only for bytes that this benchmark wrote: it unpickles."""
    return _Unpickler(io.BytesIO(bones), tensors).load()


class _Pickler(pickle.Pickler):
    def __init__(self, out: io.BytesIO, places: dict[int, Any]) -> None:
        super().__init__(out, protocol=5)
        self._places = places

    def persistent_id(self, obj: Any) -> Any:
        return self._places[id(obj)] if isinstance(obj, torch.Tensor) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, tensors: Any) -> None:
        super().__init__(file)
        self._tensors = tensors

    def persistent_load(self, pid: Any) -> Any:
        return self._tensors[pid]


def tensor_from(raw: Any, dtype: str, shape: Sequence[int]) -> torch.Tensor:
    """A tensor over `raw`, which is copied if it is read-only."""
    if len(raw) == 0:
        return torch.empty(tuple(shape), dtype=getattr(torch, dtype))
    buffer = raw if isinstance(raw, (bytearray, np.ndarray)) else bytearray(raw)
    return torch.frombuffer(buffer, dtype=torch.uint8).view(getattr(torch, dtype)).reshape(tuple(shape))


def first_difference(a: Any, b: Any, path: str = "state") -> str | None:
    """The path of the first leaf in which two states differ in type or in any bit; None if they are the same."""
    if type(a) is not type(b):
        return f"{path}: {type(a).__name__} against {type(b).__name__}"
    if isinstance(a, dict):
        if list(a) != list(b):
            return f"{path}: keys differ"
        return _first(first_difference(a[key], b[key], f"{path}.{key}") for key in a)
    if isinstance(a, (list, tuple)):
        if len(a) != len(b):
            return f"{path}: lengths differ"
        return _first(first_difference(x, y, f"{path}.{i}") for i, (x, y) in enumerate(zip(a, b, strict=True)))
    return None if _same_leaf(a, b) else path


def first_difference_of_arrays(arrays: Any, state: Any) -> str | None:
    """As first_difference(), where `arrays` has a NumPy array of the same dtype for each tensor of `state`."""
    ours, theirs = list(_leaves(arrays, "")), list(_leaves(state, ""))
    if [path for path, _ in ours] != [path for path, _ in theirs]:
        return "state as arrays: paths differ"
    pairs = ((path, a, b) for (path, a), (_, b) in zip(ours, theirs, strict=True))
    return next((f"{path} as an array" for path, a, b in pairs if not _same_array(a, b)), None)


def _same_array(a: Any, b: Any) -> bool:
    if not isinstance(b, torch.Tensor):
        return type(a) is type(b) and _same_leaf(a, b)
    same_kind = isinstance(a, np.ndarray) and (a.dtype.name, a.shape) == (NamedTensor("", b).dtype, tuple(b.shape))
    return same_kind and a.tobytes() == NamedTensor("", b).raw.tobytes()


def _first(differences: Iterator[str | None]) -> str | None:
    return next((found for found in differences if found is not None), None)


def _same_leaf(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return (
            a.dtype == b.dtype and a.shape == b.shape and np.array_equal(NamedTensor("", a).raw, NamedTensor("", b).raw)
        )
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    return bool(a == b)


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        children = list(node.items())
    elif isinstance(node, (list, tuple)):
        children = list(enumerate(node))
    else:
        yield path, node
        return
    for key, child in children:
        yield from _leaves(child, f"{path}.{key}" if path else str(key))
