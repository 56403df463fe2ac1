"""Synthetic: only the lowest mantissa byte of every value changes from one checkpoint to the next.

Every block, window and file differs, so whatever looks for equal runs of bytes stores all of it again.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from bench.workloads.common import Checkpoint, Size, seed

TITLE = "synthetic: lowest mantissa byte of every value changes"


def checkpoints(size: Size) -> Iterator[Checkpoint]:
    seed(8)
    random = np.random.default_rng(8)
    shape = (4 * size.width, size.width)
    weights = {f"layer{i}": random.standard_normal(shape, dtype=np.float32) * 0.02 for i in range(2 * size.layers)}
    for step in range(size.scaled(10, 3)):
        for value in weights.values():
            low = value.view(np.uint32)
            low &= 0xFFFFFF00
            low |= random.integers(0, 256, shape, dtype=np.uint32)
        yield Checkpoint(
            "main", step, {"model": {name: torch.from_numpy(value) for name, value in weights.items()}, "step": step}
        )
