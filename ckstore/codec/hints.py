"""What the engine knows of a chunk besides its bytes: its part in training, its place, and how it was updated.

Hints steer the choice only. A frame holds every number that its decoding needs, so wrong hints cost bytes, never truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from typing import NamedTuple

WEIGHT, MOMENTUM, VARIANCE, AVERAGE = "weight", "momentum", "variance", "average"
_MOST_CANDIDATES = 64


class Rule(NamedTuple):
    """One candidate set of hyper-parameters, as the optimiser used them in its last step."""

    lr: float
    beta1: float
    """Decay of the first moment, or the momentum of SGD."""
    beta2: float
    eps: float
    weight_decay: float


@dataclass(frozen=True, slots=True)
class Update:
    """Hyper-parameters of the optimiser: of each, the values that the last step may have been made with.

    The learning rate, say, is that of the checkpoint before, where a scheduler set the next one after the step. A value
    that is not known is an empty tuple; then only what does not need it is tried.
    """

    lr: tuple[float, ...] = ()
    beta1: tuple[float, ...] = ()
    beta2: tuple[float, ...] = ()
    eps: tuple[float, ...] = ()
    weight_decay: tuple[float, ...] = ()
    decoupled: bool = True
    """Whether the weights decay by themselves (AdamW), not through the gradient."""
    nesterov: bool = False
    dampening: float = 0.0
    steps: int | None = None
    """Optimiser steps since the previous reference was saved; None: not known."""
    step: int | None = None
    """The optimiser's count of steps at this checkpoint; None: not known."""

    def rules(self) -> Iterator[Rule]:
        """Every combination of the candidates, the first ones first; at most 64."""
        values = product(self.lr, self.beta1, self.beta2 or (0.0,), self.eps or (0.0,), self.weight_decay or (0.0,))
        return (Rule(*rule) for rule in islice(values, _MOST_CANDIDATES))


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of a chunk. References carry roles (ckstore.format.frame); without these a hint of them is idle."""

    part: str = ""
    """WEIGHT, MOMENTUM, VARIANCE, AVERAGE (of weights), or "" for anything else."""
    columns: int = 0
    """Elements in a row of the matrix that the chunk is cut from; 0: none."""
    first: int = 0
    """Index of the chunk's first element in its tensor, flat."""
    update: Update | None = None
    """How weights and moments were updated since the previous reference; None: not known."""


NO_HINTS = Hints()
