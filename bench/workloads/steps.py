"""Three checkpoints of one mixed-precision run, 0, 1 and 10 steps apart: the buffers of the codec benchmark."""

from __future__ import annotations

from collections.abc import Iterator

from bench.workloads import text
from bench.workloads.common import Checkpoint, Size, seed
from bench.workloads.gpt_bf16 import MixedPrecision

TITLE = "GPT bf16 + fp32 masters, 0, 1 and 10 steps apart"


def checkpoints(size: Size) -> Iterator[Checkpoint]:
    seed(3)
    first = size.scaled(100, 4)
    run, ids = MixedPrecision(size, 2 * first + 10), text.byte_ids(text.corpus())
    for step in range(1, first + 11):
        run.step(ids)
        if step in (first, first + 1, first + 10):
            yield Checkpoint("main", step, run.state(step))
