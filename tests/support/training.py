"""A small model trained for real, as people train: optimizer, schedule, and an average of the weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


def training(n: int, every: int = 1, kind: str = "adamw") -> Iterator[dict[str, Any]]:
    """States of a small model, `every` steps apart."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(96, 128), nn.GELU(), nn.Linear(128, 96))
    make = {
        "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3, betas=(0.9, 0.95)),
        "adam": lambda p: torch.optim.Adam(p, lr=1e-3, weight_decay=0.01),
        "sgd": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9),
        "nesterov": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, nesterov=True, weight_decay=1e-4),
    }
    optimizer = make[kind](model.parameters())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1000)
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99))
    for step in range(1, n * every + 1):
        optimizer.zero_grad()
        x = torch.randn(32, 96)
        (model(x) - x.flip(1)).square().mean().backward()
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        if step % every == 0:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "ema": average.state_dict()}
            yield copy.deepcopy(state)


def assert_equal(found: Any, expected: Any) -> None:
    """The same tree, bit for bit."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_equal(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other)
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(
            found.view(torch.uint8) if found.dim() else found,
            expected.view(torch.uint8) if expected.dim() else expected,
        )
    else:
        assert found == expected
