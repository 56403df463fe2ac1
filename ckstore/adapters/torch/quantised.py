"""Quantised tensors <-> their integers, scales and zero points."""

from __future__ import annotations

from typing import Any

import torch

from ckstore.adapters.refusal import RefusedError

_CARRIERS = {torch.quint8: torch.uint8, torch.qint8: torch.int8, torch.qint32: torch.int32}
_PER_CHANNEL = {
    "per_channel_affine": torch.per_channel_affine,
    "per_channel_affine_float_qparams": torch.per_channel_affine_float_qparams,
}
KINDS = frozenset(("torch.quantised_per_tensor", "torch.quantised_per_channel"))


def take_apart(value: torch.Tensor) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Kind, attributes and parts of a quantised tensor; RefusedError for packed and unusual schemes."""
    carrier, scheme = _CARRIERS.get(value.dtype), str(value.qscheme()).removeprefix("torch.")
    if carrier is None:
        raise RefusedError(f"quantised tensors of {value.dtype} are not supported; save x.dequantize()")
    # the integers in place: int_repr() would copy them all
    codes = torch.empty(0, dtype=carrier).set_(
        value.untyped_storage(), value.storage_offset(), value.shape, value.stride()
    )
    attrs: dict[str, Any] = {"shape": list(value.shape)}
    if scheme == "per_tensor_affine":
        attrs |= {"scale": value.q_scale(), "zero_point": value.q_zero_point()}
        return "torch.quantised_per_tensor", attrs, {"codes": codes}
    if scheme not in _PER_CHANNEL:
        raise RefusedError(f"the quantisation scheme {scheme} is not supported; save x.dequantize()")
    attrs |= {"scheme": scheme, "axis": value.q_per_channel_axis()}
    parts = {"codes": codes, "scales": value.q_per_channel_scales(), "zero_points": value.q_per_channel_zero_points()}
    return "torch.quantised_per_channel", attrs, parts


def assemble(kind: str, attrs: dict[str, Any], parts: dict[str, Any]) -> torch.Tensor:
    """Inverse of take_apart()."""
    codes = parts["codes"]
    if kind == "torch.quantised_per_tensor":
        made: torch.Tensor = torch._make_per_tensor_quantized_tensor(codes, attrs["scale"], attrs["zero_point"])
        return made
    scales, zeros, axis = parts["scales"], parts["zero_points"], attrs["axis"]
    if type(axis) is not int or not 0 <= axis < codes.dim() or scales.shape != (codes.shape[axis],):
        raise ValueError("its scales do not fit its axis")
    if zeros.shape != scales.shape:
        raise ValueError("its zero points do not fit its scales")
    channels: torch.Tensor = torch._make_per_channel_quantized_tensor(codes, scales, zeros, axis)
    return channels
