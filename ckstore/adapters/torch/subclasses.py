"""Tensor subclasses that the user has allowed: taken apart and made again by their own flatten protocol."""

from __future__ import annotations

from typing import Any

import torch

from ckstore.adapters.refusal import RefusedError
from ckstore.adapters.resolve import is_resolvable, name_of
from ckstore.errors import UsageError

KINDS = frozenset(("torch.subclass",))
_allowed: dict[str, type[torch.Tensor]] = {}


def allow_subclass(cls: type[torch.Tensor]) -> type[torch.Tensor]:
    """Let tensors of exactly this class be saved and loaded; its __tensor_unflatten__ then runs on load.

    Usable as a decorator. UsageError unless the class has the flatten protocol and a name that finds it.
    """
    if not (isinstance(cls, type) and issubclass(cls, torch.Tensor)):
        raise UsageError(f"{cls!r} is not a subclass of torch.Tensor")
    if not (hasattr(cls, "__tensor_flatten__") and hasattr(cls, "__tensor_unflatten__")):
        raise UsageError(f"{name_of(cls)} has no __tensor_flatten__ and __tensor_unflatten__")
    _allowed[name_of(cls)] = cls
    return cls


def take_apart(value: torch.Tensor) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
    """Kind, attributes and parts of an allowed subclass; None for any other."""
    cls = type(value)
    if _allowed.get(name_of(cls)) is not cls:
        return None
    if not is_resolvable(cls):
        raise RefusedError("an allowed subclass must be defined at the top level of an imported module")
    names, context = value.__tensor_flatten__()  # type: ignore[attr-defined]  # checked by allow_subclass
    attrs = {"class": name_of(cls), "names": list(names), "shape": list(value.shape), "strides": list(value.stride())}
    return "torch.subclass", attrs, {"context": context, **{name: getattr(value, name) for name in names}}


def assemble(kind: str, attrs: dict[str, Any], parts: dict[str, Any]) -> torch.Tensor:
    """Inverse of take_apart(); UsageError unless the class is allowed in this process too."""
    cls = _allowed.get(attrs["class"])
    if cls is None:
        raise UsageError(
            f"is a {attrs['class']!r:.200}: pass that class to ckstore.torch.allow_subclass() if you trust it"
        )
    inner = {name: parts[name] for name in attrs["names"]}
    shape, strides = torch.Size(attrs["shape"]), tuple(attrs["strides"])
    protocol: Any = cls  # allow_subclass() has seen to it that the class has it
    made: torch.Tensor = protocol.__tensor_unflatten__(inner, parts["context"], shape, strides)
    return made
