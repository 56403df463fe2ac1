"""The buffers of the codec benchmark: chunks of real tensors, by the kind of thing they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from bench import cache, states
from bench.codecs.base import Chunk
from bench.workloads import compressed, text

CHUNK_ELEMENTS = 1 << 18
"""What a ckstore frame holds: every codec gets the same pieces, as a store must cut them that is to read a part."""
CLASSES = {"w bf16": "model", "w fp32": "master", "m fp32": "exp_avg", "v fp32": "exp_avg_sq", "ema fp32": "ema"}
PARTS = {"model": "weight", "master": "weight", "exp_avg": "momentum", "exp_avg_sq": "variance", "ema": "average"}


def buffers(size: str, most_bytes: int) -> Iterator[tuple[str, list[Chunk]]]:
    """(kind, its chunks), `most_bytes` of each at most. Deltas are against the checkpoints 1 and 10 steps before."""
    start, one, ten = (item.load() for item in cache.prepare("steps", size))
    for kind, part in CLASSES.items():
        yield kind, chunks(_matrices(ten, part), most_bytes, part=part)
    yield "w bf16 in whole chunks", _whole(_matrices(ten, "model"), most_bytes)
    for kind, part in CLASSES.items():
        for steps, later in ((1, one), (10, ten)):
            bases = _matrices(start, part)
            yield f"{kind}, delta of {steps}", chunks(_matrices(later, part), most_bytes, bases, part=part)
    masters = _matrices(ten, "master")
    yield "w bf16, master at hand", chunks(_matrices(ten, "model"), most_bytes, masters=masters, part="model")
    weights = dict(enumerate(masters))
    yield "w int8 quantised", chunks([v["int8"] for v in compressed.quantised(weights).values()], most_bytes)
    kept, masks = compressed.pruned(weights, 0.5)
    yield "w fp32, half pruned", chunks(list(kept.values()), most_bytes)
    yield "bool mask of it", chunks(list(masks.values()), most_bytes)
    yield "int64 word ids", chunks([text.word_ids(40_000)], most_bytes)


def part_of(name: str) -> str:
    """The class of a tensor from its dotted name: where it lies in the state, or which moment it is."""
    keys = name.split(".")
    return keys[-1] if keys[0] in ("optimizer", "sparse") else keys[0]


def _matrices(state: Any, part: str) -> list[torch.Tensor]:
    return [
        item.tensor for item in states.named_tensors(state) if part_of(item.name) == part and item.tensor.dim() == 2
    ]


def chunks(
    tensors: list[torch.Tensor],
    most_bytes: int,
    bases: list[torch.Tensor] | None = None,
    masters: list[torch.Tensor] | None = None,
    part: str = "",
) -> list[Chunk]:
    """Chunks of the tensors in order, until `most_bytes` are reached. part: where they lie in the state."""
    found: list[Chunk] = []
    for position, tensor in enumerate(tensors):
        raw, item_bytes = _raw(tensor), tensor.element_size()
        base = None if bases is None else _raw(bases[position])
        master = None if masters is None else _raw(masters[position])
        for start in range(0, tensor.numel(), CHUNK_ELEMENTS):
            if sum(len(chunk.raw) for chunk in found) >= most_bytes:
                return found
            pieces = (_cut(base, start, item_bytes), _cut(master, start, 4))
            place = (PARTS.get(part, ""), tensor.shape[-1] if tensor.dim() > 1 else 0, start)
            found.append(Chunk(_cut(raw, start, item_bytes), _dtype(tensor), item_bytes, *pieces, *place))
    return found


def _whole(tensors: list[torch.Tensor], most_bytes: int) -> list[Chunk]:
    """Chunks as large as those of larger models: the tensors end to end."""
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    return chunks([flat[: max(flat.numel() // CHUNK_ELEMENTS, 1) * CHUNK_ELEMENTS]], most_bytes)


def _raw(tensor: torch.Tensor) -> np.ndarray:
    return states.NamedTensor("", tensor).raw


def _cut(data: np.ndarray | None, start: int, item_bytes: int) -> np.ndarray | None:
    return None if data is None else data[start * item_bytes : (start + CHUNK_ELEMENTS) * item_bytes].copy()


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
