"""A GPT of 101 million parameters in float32 with AdamW: three checkpoints 1 and 9 steps apart, 1.2 GB each.

Trained for minutes on a batch of few bytes: the optimiser's arithmetic and the sizes of its tensors are those of a real
run, the loss is not. Only on request: `python -m bench storage --workload gpt_100m`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from bench.workloads import gpt, text
from bench.workloads.common import Checkpoint, Size, full_state, seed

TITLE = "GPT of 101 M parameters, fp32 AdamW, 1 and 9 steps apart"
WIDTH, LAYERS, ROWS = 1024, 8, 4


def checkpoints(size: Size) -> Iterator[Checkpoint]:
    seed(9)
    first = size.scaled(30, 3)
    model, ids, generator = (
        gpt.GPT(size.scaled(WIDTH, size.width), size.scaled(LAYERS, size.layers)),
        text.byte_ids(text.corpus()),
        torch.Generator().manual_seed(9),
    )
    optimizer, scheduler = gpt.adamw(list(model.parameters()), 5 * first, rate=3e-4)
    for step in range(1, first + 11):
        optimizer.zero_grad(set_to_none=True)
        gpt.loss(model, ids, ROWS, generator).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        if step in (first, first + 1, first + 10):
            yield Checkpoint("main", step, full_state(model, optimizer, scheduler, step))
