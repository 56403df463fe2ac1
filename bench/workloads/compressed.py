"""A trained model, its pruned copies (one of them fine-tuned under its mask) and its int8 copies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from bench.workloads import gpt, text
from bench.workloads.common import Checkpoint, Size, full_state, seed

TITLE = "trained model, pruned and int8-quantised copies"


def pruned(weights: dict[str, torch.Tensor], share: float) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Copies of the matrices with the `share` of smallest values at zero, and their bool masks."""
    kept, masks = {}, {}
    for name, value in weights.items():
        kept[name] = value.clone()
        if value.dim() == 2:
            limit = value.abs().flatten().kthvalue(max(1, int(share * value.numel()))).values
            masks[name] = value.abs() > limit
            kept[name] *= masks[name]
    return kept, masks


def quantised(weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Symmetric int8 with one float32 scale a row for matrices; the rest as it is."""
    out: dict[str, Any] = {}
    for name, value in weights.items():
        if value.dim() != 2:
            out[name] = value.clone()
            continue
        scale = value.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
        out[name] = {"int8": (value / scale).round().to(torch.int8), "scale": scale}
    return out


def _train(run: tuple, ids: torch.Tensor, steps: int, rows: int, masks: dict[str, torch.Tensor]) -> None:
    model, optimizer, scheduler, generator = run
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        gpt.loss(model, ids, rows, generator).backward()
        optimizer.step()
        scheduler.step()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in masks:
                    parameter *= masks[name]


def checkpoints(size: Size) -> Iterator[Checkpoint]:
    seed(7)
    model, ids, generator = (
        gpt.GPT(size.width, size.layers),
        text.byte_ids(text.corpus()),
        torch.Generator().manual_seed(7),
    )
    every, saves = size.scaled(25, 2), size.scaled(3, 2)
    optimizer, scheduler = gpt.adamw(list(model.parameters()), every * saves * 2 + 1)
    for save in range(1, saves + 1):
        _train((model, optimizer, scheduler, generator), ids, every, size.batch, {})
        yield Checkpoint("main", save * every, full_state(model, optimizer, scheduler, save * every))
    last = every * saves
    yield Checkpoint("int8", last, {"model": quantised(model.state_dict())}, parent="main@latest")
    for share in (0.3, 0.5, 0.8):
        kept, masks = pruned(model.state_dict(), share)
        yield Checkpoint(f"pruned-{share}", last, {"model": kept, "masks": masks}, parent="main@latest")
    model.load_state_dict(kept)
    for save in range(1, saves + 1):
        _train((model, optimizer, scheduler, generator), ids, every // 2, size.batch, masks)
        state = full_state(model, optimizer, scheduler, last + save * every // 2, masks=masks)
        yield Checkpoint("pruned-tuned", state["step"], state, parent="main@latest" if save == 1 else "auto")
    yield Checkpoint("int8-pruned", last, {"model": quantised(model.state_dict())}, parent="pruned-tuned@latest")
