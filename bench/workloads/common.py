"""What every workload shares: sizes, the checkpoint it yields, and the state a user would save."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch


@dataclass(frozen=True, slots=True)
class Size:
    """How big a workload is: width and layers of its model, checkpoints per workload, rows per batch."""

    name: str
    width: int
    layers: int
    checkpoints: int
    batch: int

    def scaled(self, default: int, small: int) -> int:
        """A quantity that has one value in small runs and another in all others."""
        return small if self.name == "small" else default


SIZES = {
    "small": Size("small", width=64, layers=2, checkpoints=3, batch=4),
    "default": Size("default", width=256, layers=5, checkpoints=15, batch=8),
    "large": Size("large", width=512, layers=8, checkpoints=20, batch=8),
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One state of a workload. parent: "auto", or the reference that a user would name (a fork)."""

    run: str
    step: int
    state: Any
    parent: str = "auto"


class Workload(Protocol):
    """A module with these names; one file each."""

    TITLE: str

    def checkpoints(self, size: Size) -> Iterator[Checkpoint]:
        """Train and yield checkpoints one at a time; deterministic for one machine and one version of torch."""


def seed(value: int) -> None:
    """Seed all three generators that a state holds."""
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)


def full_state(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    step: int,
    **more: Any,
) -> dict[str, Any]:
    """All that a training script needs to go on bit by bit: nested state_dicts, counters, RNG states."""
    return {
        "model": model.state_dict(),
        **more,
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "step": step,
        "data": {"epoch": 0, "position": step},
        "rng": {"torch": torch.get_rng_state(), "numpy": np.random.get_state(), "python": random.getstate()},
    }
