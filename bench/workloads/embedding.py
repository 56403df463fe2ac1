"""A model that is nearly all embedding, trained with SparseAdam: a step touches few rows, saves are 5 steps apart."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from bench.workloads import text
from bench.workloads.common import Checkpoint, Size, full_state, seed

TITLE = "large embedding, few rows touched a step"
CONTEXT, CLASSES = 4, 512


class NextWord(nn.Module):
    """Four words in, a hash of the next one out."""

    def __init__(self, n_words: int, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(n_words, width, sparse=True)
        self.hidden, self.out = nn.Linear(CONTEXT * width, 2 * width), nn.Linear(2 * width, CLASSES)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(functional.gelu(self.hidden(self.words(ids).flatten(1))))


def checkpoints(size: Size) -> Iterator[Checkpoint]:
    seed(6)
    every, n_words = 5, size.scaled(40_000, 2_000)
    model, ids, generator = NextWord(n_words, size.width // 2), text.word_ids(n_words), torch.Generator().manual_seed(6)
    sparse = torch.optim.SparseAdam([model.words.weight], lr=1e-2)
    dense = torch.optim.AdamW([*model.hidden.parameters(), *model.out.parameters()], lr=1e-3)
    scheduler = torch.optim.lr_scheduler.LinearLR(dense, total_iters=every * size.checkpoints)
    for step in range(1, every * size.checkpoints + 1):
        windows, _ = text.windows(ids, 16 * size.batch, CONTEXT + 1, generator)
        sparse.zero_grad(set_to_none=True)
        dense.zero_grad(set_to_none=True)
        functional.cross_entropy(model(windows[:, :-1]), windows[:, -1] % CLASSES).backward()
        sparse.step()
        dense.step()
        scheduler.step()
        if step % every == 0:
            yield Checkpoint("main", step, full_state(model, dense, scheduler, step, sparse=sparse.state_dict()))
