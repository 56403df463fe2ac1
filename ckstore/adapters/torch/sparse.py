"""Sparse tensors <-> their indices and values. Indices from a store are always checked before torch may use them."""

from __future__ import annotations

from typing import Any

import torch

from ckstore.errors import FormatError

_ROWS = ("crow_indices", "col_indices")
_COLUMNS = ("ccol_indices", "row_indices")
_COMPRESSED = {
    "torch.sparse_csr": (torch.sparse_csr, _ROWS),
    "torch.sparse_bsr": (torch.sparse_bsr, _ROWS),
    "torch.sparse_csc": (torch.sparse_csc, _COLUMNS),
    "torch.sparse_bsc": (torch.sparse_bsc, _COLUMNS),
}
KINDS = frozenset(("torch.sparse_coo", *_COMPRESSED))


def take_apart(value: torch.Tensor) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
    """Kind, attributes and parts; None if `value` is not sparse."""
    kind = str(value.layout)
    if kind not in KINDS:
        return None
    attrs: dict[str, Any] = {"shape": list(value.shape)}
    if value.is_leaf and value.requires_grad:
        attrs["requires_grad"] = True
    if isinstance(value, torch.nn.Parameter):
        attrs["parameter"] = True
    plain = value.detach()
    if kind == "torch.sparse_coo":
        attrs["coalesced"] = plain.is_coalesced()
        return kind, attrs, {"indices": plain._indices(), "values": plain._values()}
    compressed, other = _COMPRESSED[kind][1]
    parts = {compressed: getattr(plain, compressed)(), other: getattr(plain, other)(), "values": plain.values()}
    return kind, attrs, parts


def assemble(kind: str, attrs: dict[str, Any], parts: dict[str, Any]) -> torch.Tensor:
    """The sparse tensor; RuntimeError of torch if its indices do not keep the rules of its layout."""
    shape = attrs.get("shape")
    if not isinstance(shape, list) or not all(type(n) is int for n in shape):
        raise FormatError("a sparse tensor without a shape")
    if kind == "torch.sparse_coo":
        tensor = torch.sparse_coo_tensor(
            parts["indices"], parts["values"], shape, is_coalesced=attrs.get("coalesced") is True, check_invariants=True
        )
    else:
        layout, (compressed, other) = _COMPRESSED[kind]
        tensor = torch.sparse_compressed_tensor(
            parts[compressed], parts[other], parts["values"], shape, layout=layout, check_invariants=True
        )
    requires_grad = attrs.get("requires_grad") is True
    if attrs.get("parameter") is True:
        return torch.nn.Parameter(tensor, requires_grad=requires_grad)
    return tensor.requires_grad_(requires_grad)
