"""A small GPT over bytes, as people write it: pre-norm blocks, GELU, learned positions, head tied to the embedding."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from bench.workloads import text

CONTEXT = 128


class Block(nn.Module):
    """Attention and a 4x MLP, each behind a LayerNorm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, length, width = x.shape
        parts = self.qkv(self.ln1(x)).view(rows, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True)
        x = x + self.proj(mixed.transpose(1, 2).reshape(rows, length, width))
        return x + self.down(functional.gelu(self.up(self.ln2(x))))


class GPT(nn.Module):
    """Predicts the next byte."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(256, width), nn.Embedding(CONTEXT, width)
        self.blocks = nn.ModuleList(Block(width, width // 64 or 1) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02 / (2 * layers) ** 0.5 if "proj" in name or "down" in name else 0.02)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return functional.linear(self.norm(x), self.tokens.weight)


def loss(model: nn.Module, ids: torch.Tensor, n_rows: int, generator: torch.Generator) -> torch.Tensor:
    """Cross-entropy of one random batch of windows."""
    inputs, targets = text.windows(ids, n_rows, CONTEXT, generator)
    return functional.cross_entropy(model(inputs).float().flatten(0, 1), targets.flatten())


def adamw(parameters: list[nn.Parameter], total_steps: int, rate: float = 1e-3) -> tuple:
    """AdamW and a one-cycle schedule, as most scripts have them."""
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.95), weight_decay=0.1)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=total_steps, pct_start=0.1, cycle_momentum=False
    )
