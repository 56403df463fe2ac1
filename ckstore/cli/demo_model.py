"""A small byte-level transformer and its training: deterministic, and its whole state in one tree."""

from __future__ import annotations

import math
import random
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ckstore.cli.demo_plan import THREADS, Plan
from ckstore.errors import UsageError

CORPUS_BYTES = 2 << 20
HEADS = 4
DROPOUT = 0.05
NOISE = 0.02
WARMUP = 10
PEAK_RATE = 3e-3


def corpus() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The first 2 MiB of the Python standard library's own source, by name of file."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    text = b"".join(file.read_bytes() for file in files)[:CORPUS_BYTES]
    if len(text) < CORPUS_BYTES // 8:
        raise UsageError("the demo learns from the source of Python's standard library, and found too little of it")
    return np.frombuffer(text, np.uint8)


class Block(nn.Module):
    """Attention and a perceptron, each normed before and added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before_attention, self.before_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """One layer: (batch, context, width) in and out."""
        batch, context, width = x.shape
        mixed = self.attend(self.before_attention(x)).view(batch, context, 3, HEADS, width // HEADS)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.dropout(self.join(seen.transpose(1, 2).reshape(batch, context, width)))
        out: Tensor = x + self.dropout(self.perceptron(self.before_perceptron(x)))
        return out


class Transformer(nn.Module):
    """Bytes → logits of the next byte. The embedding and the head are one tied tensor."""

    def __init__(self, width: int, layers: int, context: int) -> None:
        super().__init__()
        self.embed, self.position = nn.Embedding(256, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 256, bias=False)
        for table in (self.embed, self.position):
            nn.init.normal_(table.weight, std=width**-0.5)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits for every position of `tokens`."""
        x = self.embed(tokens) + self.position.weight[: tokens.shape[1]]
        logits: Tensor = self.head(self.norm(self.blocks(x)))
        return logits


class Training:
    """All that a training run is made of; `state` and `restore` carry it from one process to another."""

    def __init__(self, plan: Plan) -> None:
        torch.set_num_threads(THREADS)
        torch.use_deterministic_algorithms(True)
        torch.manual_seed(plan.seed)
        self.plan, self.text, self.step_done, self.position = plan, corpus(), 0, 0
        self.python_rng, self.numpy_rng = random.Random(plan.seed), np.random.default_rng(plan.seed)
        self.model = Transformer(plan.width, plan.layers, plan.context)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.1)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)

    def _rate(self, step: int) -> float:
        warm = min(1.0, (step + 1) / WARMUP)
        return warm * (0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, step / self.plan.steps))))

    def step(self) -> float:
        """Train one batch; returns its loss. Uses all three random generators and moves the data position."""
        tokens, targets = self._batch()
        logits = self.model(tokens)
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.scheduler.step()
        self.step_done += 1
        return loss.item()

    def _batch(self) -> tuple[Tensor, Tensor]:
        """One window from each of `batch` readers that are spread over the text, a few of its input bytes replaced."""
        span, apart = self.plan.context + 1, len(self.text) // self.plan.batch
        self.position += self.python_rng.randrange(1, span)
        starts = [(self.position + reader * apart) % (len(self.text) - span) for reader in range(self.plan.batch)]
        whole = torch.from_numpy(np.stack([self.text[start : start + span] for start in starts]).astype(np.int64))
        noisy = torch.from_numpy(self.numpy_rng.random(whole[:, :-1].shape) < NOISE)
        return whole[:, :-1].masked_fill(noisy, 0), whole[:, 1:]

    def state(self) -> dict[str, Any]:
        """Everything the next step depends on."""
        rng = {
            "python": self.python_rng.getstate(),
            "numpy": self.numpy_rng.bit_generator.state,
            "torch": torch.get_rng_state(),
        }
        return {
            "step": self.step_done,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "rng": rng,
            "data": {"position": self.position},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state` was taken."""
        self.step_done, self.position = state["step"], state["data"]["position"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.python_rng.setstate(state["rng"]["python"])
        self.numpy_rng.bit_generator.state = state["rng"]["numpy"]
        torch.set_rng_state(state["rng"]["torch"])
