"""The codec benchmark's rows of a whole AdamW state: (w, m, v) in float32, 1 and 10 steps after a checkpoint.

A peer codes each of w, m and v as it is or as its XOR with the checkpoint before, whichever makes less, and knows in
advance which. "ckstore" is its codec given one base for each chunk, as in the other tables. "ckstore, in a store" saves
both checkpoints through the public face and is told no more than any user tells it: all files that the second save
added count, and its seconds are those of hashing, coding, checking, writing and syncing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import ckstore
from bench import cache, clock, codec, kinds, states
from bench.codecs import CODECS
from bench.codecs.base import Chunk, Codec

PARTS = ("model", "exp_avg", "exp_avg_sq")
STORED = "ckstore, in a store"
_ALL = 1 << 62


def all_rows(size: str, rounds: int, chosen: tuple[str, ...], wanted: tuple[str, ...]) -> list[codec.Row]:
    """In a child on one core: rows of each chosen codec, and of the store if ckstore is chosen."""
    return list(_rows(size, rounds, chosen, wanted))


def _rows(size: str, rounds: int, chosen: tuple[str, ...], wanted: tuple[str, ...]) -> Iterator[codec.Row]:
    start, one, ten = (_adam_state(item.load()) for item in cache.prepare("steps", size))
    for steps, later in ((1, one), (10, ten)):
        kind = f"(w, m, v) fp32, delta of {steps}"
        if wanted and not any(word in kind for word in wanted):
            continue
        for coder in (CODECS[name]() for name in chosen):
            if coder.takes("float32"):
                yield codec.measure(kind, coder, _best_chunks(coder, start, later), rounds)
        if "ckstore" in chosen:
            yield stored(kind, start, later, rounds)


def _adam_state(state: dict[str, Any]) -> dict[str, Any]:
    return {"model": state["master"], "optimizer": state["optimizer"]}


def _best_chunks(coder: Codec, start: Any, later: Any) -> list[Chunk]:
    """Chunks of all parts, each part with the checkpoint before as its base or without, whichever is smaller."""
    found = []
    for part in PARTS:
        ways = [kinds.chunks(_tensors(later, part), _ALL, bases, part=part) for bases in (_tensors(start, part), None)]
        found += ways[0] if coder.knows_bases else min(ways, key=lambda way: _size(coder, way))
    return found


def _size(coder: Codec, chunks: list[Chunk]) -> int:
    return sum(coder.payload_bytes(coder.encode_chunk(chunk)) for chunk in chunks)


def _tensors(state: Any, part: str) -> list[torch.Tensor]:
    return [item.tensor for item in states.named_tensors(state) if kinds.part_of(item.name) == part]


def stored(kind: str, start: Any, later: Any, rounds: int) -> codec.Row:
    """The row of a store: speeds of a save and of a load in a newly opened store, best of the rounds."""
    n_bytes, saves, loads, exact = states.logical_bytes(later), [], [], True
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="ckstore-bench-") as folder:
            with ckstore.open(Path(folder) / "store", create=True) as store:
                store.save(start, step=0)
                saved, seconds = clock.timed(store.save, later, step=1)
            with ckstore.open(Path(folder) / "store") as store:
                state, took = clock.timed(store.load, saved.id)
        saves.append(seconds)
        loads.append(took)
        exact = exact and states.first_difference(state, later) is None
    save, load = (round(n_bytes / min(seconds) / 1e9, 3) for seconds in (saves, loads))
    share = round(saved.stored_bytes / n_bytes, 5)
    return codec.Row(kind, STORED, n_bytes, share, None, None, save, None, load, exact)
