"""Torch tensors made of several: sparse, quantised, and allowed subclasses."""

from __future__ import annotations

from typing import Any

import torch

from ckstore.adapters.torch import quantised, sparse, subclasses
from ckstore.errors import CkError, FormatError

Parts = tuple[str, dict[str, Any], dict[str, Any]]


def take_apart(value: torch.Tensor) -> Parts | None:
    """Kind, attributes and parts of a composite; None for a dense tensor and for what is to be refused."""
    if type(value) in (torch.Tensor, torch.nn.Parameter):
        if value.is_meta or value.is_nested:
            return None
        return quantised.take_apart(value) if value.is_quantized else sparse.take_apart(value)
    return subclasses.take_apart(value)


def assemble(kind: str, attrs: dict[str, Any], parts: dict[str, Any]) -> torch.Tensor:
    """Inverse of take_apart(); FormatError if the parts do not fit together."""
    for module in (sparse, quantised, subclasses):
        if kind in module.KINDS:
            try:
                made: torch.Tensor = module.assemble(kind, attrs, parts)
                return made
            except CkError:
                raise
            except (RuntimeError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
                raise FormatError(f"the parts of a {kind} do not fit together: {error}") from error
    raise FormatError(f"unknown composite {kind!r:.100}")
