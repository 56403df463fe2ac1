"""Real training runs, one module each: seeded, trained on this machine, cached as one torch file a checkpoint."""

from __future__ import annotations

from bench.workloads import (
    compressed,
    convnet,
    embedding,
    every_few,
    every_step,
    gpt_100m,
    gpt_bf16,
    gpt_fp32,
    lora,
    low_bytes,
    steps,
)

WORKLOADS = {
    "gpt_fp32": gpt_fp32,
    "gpt_bf16": gpt_bf16,
    "every_step": every_step,
    "every_few": every_few,
    "convnet": convnet,
    "lora": lora,
    "embedding": embedding,
    "compressed": compressed,
    "low_bytes": low_bytes,
}
"""The rows of the storage benchmark, in the order of its table."""

ON_REQUEST = {"gpt_100m": gpt_100m}
"""Rows only where they are named: minutes of training, and gigabytes of disk."""

ALL = {**WORKLOADS, **ON_REQUEST, "steps": steps}
"""Also the run whose tensors the codec benchmark takes."""
