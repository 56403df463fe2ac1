"""A GPT in float32 with AdamW, saved every 10 steps: the plainest training run, and the hardest to store."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from bench.workloads import gpt, text
from bench.workloads.common import Checkpoint, Size, full_state, seed

TITLE = "GPT fp32 AdamW, every 10 steps"


def checkpoints(size: Size) -> Iterator[Checkpoint]:
    seed(1)
    every = size.scaled(10, 2)
    model, ids, generator = (
        gpt.GPT(size.width, size.layers),
        text.byte_ids(text.corpus()),
        torch.Generator().manual_seed(1),
    )
    optimizer, scheduler = gpt.adamw(list(model.parameters()), every * size.checkpoints + 1)
    for step in range(1, every * size.checkpoints + 1):
        optimizer.zero_grad(set_to_none=True)
        gpt.loss(model, ids, size.batch, generator).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        if step % every == 0:
            yield Checkpoint("main", step, full_state(model, optimizer, scheduler, step))
