"""The fine-tuning of a transformer over words with AdamW, saved at every step at first, then every 5 steps.

Most words do not occur in a batch: their rows have no gradient, and yet they decay at every step. Rows of words that
did not occur at all have no moments.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from bench.workloads import gpt, text
from bench.workloads.common import Checkpoint, Size, full_state, seed

TITLE = "fine-tune over words, fp32 AdamW, every step, then every 5"
CONTEXT, CLASSES = 64, 512


class NextWords(nn.Module):
    """Words in, a hash of each next word out. Many words, few classes: the embedding is a third of the values."""

    def __init__(self, n_words: int, width: int, layers: int) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(n_words, width), nn.Embedding(CONTEXT, width)
        self.blocks = nn.ModuleList(gpt.Block(width, width // 64 or 1) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, CLASSES)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.words(ids) + self.positions.weight
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, windows: tuple[torch.Tensor, torch.Tensor]) -> None:
    optimizer.zero_grad(set_to_none=True)
    functional.cross_entropy(model(windows[0]).flatten(0, 1), windows[1].flatten() % CLASSES).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def checkpoints(size: Size) -> Iterator[Checkpoint]:
    seed(11)
    n_words, apart, saves = size.scaled(8192, 512), size.scaled(5, 2), size.scaled(5, 2)
    model, ids = NextWords(n_words, size.width, size.layers), text.word_ids(n_words)
    generator = torch.Generator().manual_seed(11)
    before = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(size.scaled(40, 4)):
        _step(model, before, text.windows(ids, size.batch, CONTEXT, generator))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=2 * apart * saves)
    for step in range(1, apart * saves + 1):
        _step(model, optimizer, text.windows(ids, size.batch, CONTEXT, generator))
        scheduler.step()
        if step < apart or step % apart == 0:
            yield Checkpoint("main", step, full_state(model, optimizer, scheduler, step))
