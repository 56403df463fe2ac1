"""Two states → what differs between them: types, structure, and every bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

Path = str


def differences(expected: Any, actual: Any) -> tuple[int, list[Path]]:
    """Number of leaves compared, and the dotted paths at which the two trees are not the same, bit for bit."""
    different: list[Path] = []
    n_leaves = _compare(expected, actual, "", different)
    return n_leaves, different


def _compare(expected: Any, actual: Any, path: Path, different: list[Path]) -> int:
    if type(expected) is not type(actual):
        different.append(path)
    elif isinstance(expected, Mapping):
        if list(expected) != list(actual):
            different.append(path)
        else:
            return sum(_compare(expected[key], actual[key], f"{path}.{key}".strip("."), different) for key in expected)
    elif isinstance(expected, (list, tuple)):
        if len(expected) != len(actual):
            different.append(path)
        else:
            pairs = enumerate(zip(expected, actual, strict=True))
            return sum(_compare(left, right, f"{path}.{key}".strip("."), different) for key, (left, right) in pairs)
    elif not _same_leaf(expected, actual):
        different.append(path)
    return 1


def _same_leaf(expected: Any, actual: Any) -> bool:
    if isinstance(expected, torch.Tensor):
        same_form = expected.dtype == actual.dtype and expected.shape == actual.shape
        return bool(same_form and torch.equal(_bits(expected), _bits(actual)))
    if isinstance(expected, np.ndarray):
        same_form = expected.dtype == actual.dtype and expected.shape == actual.shape
        return bool(same_form and expected.tobytes() == actual.tobytes())
    if isinstance(expected, float):
        return bool(expected.hex() == actual.hex())
    return bool(expected == actual)


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of a tensor: -0.0 and 0.0 differ, a NaN equals itself."""
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)
