"""States of the store machine, and what its model knows of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

DTYPES = ("f4", "i8", "u1", ml_dtypes.bfloat16)


@dataclass
class Known:
    """What the model knows of a checkpoint."""

    run: str
    step: int
    state: Any
    tags: set[str] = field(default_factory=set)
    metrics: dict[str, float] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


def fresh(seed: int) -> dict[str, Any]:
    """A new state of two or three chunks a tensor."""
    rng = np.random.default_rng(seed)
    return {
        "w": [rng.normal(size=(3, 700)).astype(dtype) for dtype in DTYPES],
        "zeros": np.zeros(1500, "f8"),
        "n": seed,
        "deep": ({"x": rng.bytes(10)}, None),
    }


def changed(state: dict[str, Any], seed: int) -> dict[str, Any]:
    """Some elements of some tensors are others."""
    rng = np.random.default_rng(seed)
    tensors = [tensor.copy() for tensor in state["w"]]
    for tensor in rng.choice(len(tensors), 2):
        where = rng.integers(0, tensors[tensor].size, rng.choice([1, 500]))
        tensors[tensor].reshape(-1)[where] = rng.integers(0, 100, where.size).astype(tensors[tensor].dtype)
    return {**state, "w": tensors, "n": seed}
