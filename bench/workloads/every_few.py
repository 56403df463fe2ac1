"""A GPT in float32 with AdamW in the middle of its training, saved every 3 steps: every value moves at every step."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from bench.workloads import gpt, text
from bench.workloads.common import Checkpoint, Size, full_state, seed

TITLE = "GPT fp32 AdamW, every 3 steps"
EVERY = 3


def checkpoints(size: Size) -> Iterator[Checkpoint]:
    seed(10)
    first, saves = size.scaled(60, 2), size.scaled(8, 3)
    model, ids, generator = (
        gpt.GPT(size.width, size.layers),
        text.byte_ids(text.corpus()),
        torch.Generator().manual_seed(10),
    )
    optimizer, scheduler = gpt.adamw(list(model.parameters()), 3 * first + EVERY * saves)
    for step in range(1, first + EVERY * saves + 1):
        optimizer.zero_grad(set_to_none=True)
        gpt.loss(model, ids, size.batch, generator).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        if step > first and (step - first) % EVERY == 0:
            yield Checkpoint("main", step, full_state(model, optimizer, scheduler, step))
