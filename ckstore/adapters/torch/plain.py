"""Plain torch values (Size, dtype, device, memory format, layout) <-> their names."""

from __future__ import annotations

from typing import Any

import torch

from ckstore.adapters.refusal import RefusedError
from ckstore.adapters.torch import dtypes
from ckstore.errors import FormatError, UsageError

_NAMED = {"dtype": torch.dtype, "memory_format": torch.memory_format, "layout": torch.layout, "qscheme": torch.qscheme}


def lower(value: Any) -> list[Any] | None:
    """[kind, name or sizes], or None if `value` is no plain torch value."""
    if type(value) is torch.Size:
        return ["Size", list(value)]
    if type(value) is torch.device:
        return ["device", str(value)]
    for kind, cls in _NAMED.items():
        if type(value) is cls:
            name = str(value).removeprefix("torch.")
            if getattr(torch, name, None) is not value:
                raise RefusedError(f"the name {name!r} does not lead back to it")
            return [kind, name]
    return None


def lift(kind: Any, data: Any) -> Any:
    """Inverse of lower()."""
    if kind == "Size" and isinstance(data, list) and all(type(n) is int and 0 <= n < 1 << 63 for n in data):
        return torch.Size(data)
    if not isinstance(data, str) or kind == "Size":
        raise FormatError(f"malformed torch value {kind!r:.100}")
    if kind == "device":
        try:
            return torch.device(data)
        except RuntimeError as error:
            raise FormatError(f"malformed torch device {data!r:.100}") from error
    if kind == "dtype":
        return dtypes.parse(data)
    found = vars(torch).get(data)  # getattr would import what torch loads lazily, as the store tells it
    if kind not in _NAMED or not isinstance(found, _NAMED[kind]):
        raise UsageError(f"the installed torch {torch.__version__} has no {kind!r:.100} {data!r:.100}")
    return found
