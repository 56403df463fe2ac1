"""Dense torch tensors of a state that is being saved -> TensorViews."""

from __future__ import annotations

from typing import Any

import torch

from ckstore.adapters import strided
from ckstore.adapters.memory import Memory
from ckstore.adapters.refusal import RefusedError
from ckstore.adapters.torch import composites, dtypes, elsewhere
from ckstore.tensor import Path, TensorView

KINDS = {torch.Tensor: "torch.Tensor", torch.nn.Parameter: "torch.Parameter"}


def composite(value: torch.Tensor) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
    """Kind, attributes and parts of a sparse, quantised or allowed subclass tensor; None for any other."""
    return composites.take_apart(value)


def leaf(path: Path, value: torch.Tensor) -> tuple[TensorView, Memory]:
    """The view of one tensor.

    attrs: dtype, strides (where not C order), requires_grad, buffer (persistent or not), device (where not cpu).
    Other Python attributes of a tensor, its gradient and its hooks are not part of a state.
    """
    _check(value)
    stored, attrs = dtypes.stored_as(value.dtype)
    kind = KINDS[type(value)]
    if value.requires_grad and value.is_leaf:
        attrs["requires_grad"] = True
    if getattr(value, "_is_buffer", False):
        kind, attrs["buffer"] = "torch.Buffer", bool(getattr(value, "persistent", True))
    if value.device.type != "cpu":
        attrs["device"] = str(value.device)
    shape, tensor = tuple(value.shape), value.detach()
    strides = tensor.stride()
    if strides != c_strides(shape) and is_dense(shape, strides):
        attrs["strides"] = list(strides)
    view = TensorView(path, kind, stored, shape, reader(tensor), attrs)
    return view, memory(value, (kind, stored, repr(attrs)))


def reader(tensor: torch.Tensor) -> Any:
    """TensorView.read of a detached tensor."""
    if is_host(tensor):
        return strided.reader(dtypes.carried(tensor).numpy())
    return elsewhere.reader(tensor)


def memory(tensor: torch.Tensor, identity: tuple[Any, ...]) -> Memory:
    """Where `tensor` lies; an empty or lazily conjugated one is the same as itself only."""
    lazy = tensor.is_conj() or tensor.is_neg()
    placed = tensor.numel() > 0 and not lazy
    size = tensor.dtype.itemsize
    space = f"torch:{tensor.device}" if placed else "torch"
    address = tensor.data_ptr() if placed else id(tensor)
    strides = tuple(step * size for step in tensor.stride())
    return Memory(space, address, tuple(tensor.shape), strides, size, identity)


def is_host(tensor: torch.Tensor) -> bool:
    """Whether NumPy can look at the memory of `tensor`."""
    return tensor.device.type == "cpu" and not tensor.is_conj() and not tensor.is_neg()


def is_dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether every element of the memory spanned is used exactly once, in some order of the dims."""
    expected = 1
    for step, n in sorted((step, n) for step, n in zip(strides, shape, strict=True) if n != 1):
        if step != expected:
            return False
        expected *= n
    return expected > 0


def c_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of a new contiguous tensor."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def _check(value: Any) -> None:
    """Raise RefusedError for tensors whose bytes are not simply their elements."""
    if value.is_nested:
        raise RefusedError("nested tensors are not supported; save .unbind() as a list, or values and offsets")
    if type(value).__name__ in ("DTensor", "ShardedTensor"):
        raise RefusedError("it is spread over processes; save x.full_tensor(), or x.to_local() of each process")
    if type(value) not in KINDS:
        raise RefusedError(
            "this subclass of torch.Tensor is not known; save the tensors it is made of, allow it with "
            "ckstore.torch.allow_subclass(), or use allow_pickle=True"
        )
    if value.device.type == "meta":
        raise RefusedError("a meta tensor has no bytes; materialise it first, or leave it out")
    if value.layout is not torch.strided:
        raise RefusedError(f"the layout {value.layout} is not supported; save x.to_dense()")
    if any(getattr(value, "names", ())):
        raise RefusedError("named tensors are not supported; save x.rename(None)")
