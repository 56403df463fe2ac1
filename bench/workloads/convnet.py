"""A convnet with SGD momentum whose stem is frozen half-way, as in fine-tuning: from there on a part stands still.

It tells from which package of the standard library a window of 1,024 bytes comes: the 8 bits of each byte are the
channels of a 32x32 picture.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from bench.workloads import text
from bench.workloads.common import Checkpoint, Size, full_state, seed

TITLE = "convnet SGD momentum, stem frozen half-way"
SIDE = 32


def _data(n_classes: int) -> list[torch.Tensor]:
    """The bytes of the `n_classes` largest packages, one tensor each."""
    root, packages = Path(sysconfig.get_paths()["stdlib"]), dict[str, bytes]()
    for path in text.files():
        parts = path.relative_to(root).parts
        if len(parts) > 1:
            packages[parts[0]] = packages.get(parts[0], b"") + path.read_bytes()
    largest = sorted(packages, key=lambda name: (-len(packages[name]), name))[:n_classes]
    return [text.byte_ids(packages[name]) for name in largest]


def _batch(data: list[torch.Tensor], n_rows: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.randint(len(data), (n_rows,), generator=generator)
    pictures = []
    for label in labels.tolist():
        start = int(torch.randint(len(data[label]) - SIDE * SIDE, (1,), generator=generator))
        bits = data[label][start : start + SIDE * SIDE].unsqueeze(0) >> torch.arange(8).unsqueeze(1) & 1
        pictures.append(bits.float().view(8, SIDE, SIDE))
    return torch.stack(pictures), labels


def _stage(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(),
        nn.Conv2d(n_out, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(),
    )  # fmt: skip


def _model(width: int, n_classes: int) -> nn.Module:
    """Channels double at each stage; the stem holds about a third of the values."""
    stem = nn.Sequential(_stage(8, width // 2), _stage(width // 2, width), _stage(width, width + width // 4))
    body = nn.Sequential(_stage(width + width // 4, width + width // 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.ModuleDict({"stem": stem, "body": body, "head": nn.Linear(width + width // 2, n_classes)})


def checkpoints(size: Size) -> Iterator[Checkpoint]:
    seed(4)
    every, n_classes = size.scaled(8, 2), 12
    model, data, generator = _model(size.width, n_classes), _data(n_classes), torch.Generator().manual_seed(4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, every * size.checkpoints)
    for step in range(1, every * size.checkpoints + 1):
        if step == every * size.checkpoints // 2:
            model["stem"].requires_grad_(False).eval()
        pictures, labels = _batch(data, 4 * size.batch, generator)
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(model["head"](model["body"](model["stem"](pictures))), labels).backward()
        optimizer.step()
        scheduler.step()
        if step % every == 0:
            yield Checkpoint("main", step, full_state(model, optimizer, scheduler, step))
