"""Five LoRA fine-tunes of one frozen base: nearly all bytes of all checkpoints are the same base, saved again."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from bench.workloads import gpt, text
from bench.workloads.common import Checkpoint, Size, full_state, seed

TITLE = "five LoRA fine-tunes of one frozen base"
RANK, RUNS, SAVES = 8, 5, 3


class LoRA(nn.Module):
    """A frozen linear layer and a trained low-rank addition."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.a = nn.Parameter(torch.randn(RANK, base.in_features) / base.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(base.out_features, RANK))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + x @ self.a.T @ self.b.T


def _base(size: Size) -> dict[str, torch.Tensor]:
    """The weights of a base that was really trained, for a while."""
    model, ids, generator = (
        gpt.GPT(size.width, size.layers),
        text.byte_ids(text.corpus()),
        torch.Generator().manual_seed(5),
    )
    steps = size.scaled(60, 4)
    optimizer, scheduler = gpt.adamw(list(model.parameters()), steps + 1)
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        gpt.loss(model, ids, size.batch, generator).backward()
        optimizer.step()
        scheduler.step()
    return model.state_dict()


def _tuned(size: Size, base: dict[str, torch.Tensor]) -> gpt.GPT:
    model = gpt.GPT(size.width, size.layers)
    model.load_state_dict(base)
    model.requires_grad_(False)
    for block in model.blocks:
        block.qkv, block.up, block.down = LoRA(block.qkv), LoRA(block.up), LoRA(block.down)
    return model


def checkpoints(size: Size) -> Iterator[Checkpoint]:
    seed(5)
    base, every = _base(size), size.scaled(8, 2)
    ids = text.byte_ids(text.corpus())
    runs = size.scaled(RUNS, 2)
    for run in range(runs):
        seed(50 + run)
        model, generator = _tuned(size, base), torch.Generator().manual_seed(run)
        part = ids[run * len(ids) // runs : (run + 1) * len(ids) // runs]
        optimizer, scheduler = gpt.adamw([p for p in model.parameters() if p.requires_grad], every * SAVES + 1)
        for step in range(1, every * SAVES + 1):
            optimizer.zero_grad(set_to_none=True)
            gpt.loss(model, part, size.batch, generator).backward()
            optimizer.step()
            scheduler.step()
            if step % every == 0:
                yield Checkpoint(f"lora-{run}", step, full_state(model, optimizer, scheduler, step))
