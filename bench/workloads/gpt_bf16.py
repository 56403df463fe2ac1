"""A GPT that trains in bfloat16 with float32 masters, AdamW moments and an EMA: what mixed-precision runs save."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from bench.workloads import gpt, text
from bench.workloads.common import Checkpoint, Size, full_state, seed

TITLE = "GPT bf16 + fp32 masters + AdamW + EMA, every 10 steps"
EMA_DECAY = 0.999


@dataclass
class MixedPrecision:
    """The bf16 model that computes, the fp32 masters that are updated, and the EMA that is evaluated."""

    size: Size
    total_steps: int
    master: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        self.master = gpt.GPT(self.size.width, self.size.layers)
        self.model = copy.deepcopy(self.master).to(torch.bfloat16)
        self.ema = {name: value.clone() for name, value in self.master.state_dict().items()}
        self.optimizer, self.scheduler = gpt.adamw(list(self.master.parameters()), self.total_steps)
        self.generator = torch.Generator().manual_seed(2)

    def step(self, ids: torch.Tensor) -> None:
        """One optimiser step on the masters with the gradients of the bf16 model."""
        gpt.loss(self.model, ids, self.size.batch, self.generator).backward()
        for master, low in zip(self.master.parameters(), self.model.parameters(), strict=True):
            master.grad, low.grad = low.grad.float(), None
        nn.utils.clip_grad_norm_(self.master.parameters(), 1.0)
        self.optimizer.step()
        self.scheduler.step()
        with torch.no_grad():
            for master, low in zip(self.master.parameters(), self.model.parameters(), strict=True):
                low.copy_(master)
            for name, value in self.master.state_dict().items():
                self.ema[name].lerp_(value, 1 - EMA_DECAY)

    def state(self, step: int) -> dict[str, Any]:
        """The whole state, as a script with masters and EMA saves it."""
        return full_state(
            self.model, self.optimizer, self.scheduler, step, master=self.master.state_dict(), ema=self.ema
        )


def checkpoints(size: Size) -> Iterator[Checkpoint]:
    seed(2)
    every = size.scaled(10, 2)
    run, ids = MixedPrecision(size, every * size.checkpoints + 1), text.byte_ids(text.corpus())
    for step in range(1, every * size.checkpoints + 1):
        run.step(ids)
        if step % every == 0:
            yield Checkpoint("main", step, run.state(step))
