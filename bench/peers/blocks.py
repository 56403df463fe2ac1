"""Deduplication alone: blocks of 1 MiB, cut from the start of each tensor, stored once and not compressed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import blake3
import numpy as np

from bench import disk, states
from bench.peers.base import Peer
from bench.workloads.common import Checkpoint

BLOCK_BYTES = 1 << 20


class BlockDedup(Peer):
    """Blocks of all checkpoints of all runs are compared by BLAKE3. Cutting at tensors is the best case for blocks."""

    name = "1 MiB dedup"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._places: dict[bytes, tuple[int, int]] = {}

    def save(self, item: Checkpoint, number: int) -> None:
        rows = []
        with disk.durable(self.folder / f"{number:03}.blocks") as file:
            for entry in states.named_tensors(item.state):
                raw, places = entry.raw, []
                for start in range(0, len(raw), BLOCK_BYTES):
                    block = raw[start : start + BLOCK_BYTES]
                    digest = blake3.blake3(block).digest()
                    if digest not in self._places:
                        self._places[digest] = (number, file.tell())
                        file.write(block)
                    places.append((digest, *self._places[digest]))
                rows.append((entry.dtype, tuple(entry.tensor.shape), len(raw), places))
        with disk.durable(self.folder / f"{number:03}.head") as file:
            pickle.dump((states.skeleton(item.state), rows), file, protocol=5)

    def load(self, number: int) -> Any:
        bones, rows = pickle.loads((self.folder / f"{number:03}.head").read_bytes())
        tensors = [
            states.tensor_from(self._read(n_bytes, places), dtype, shape) for dtype, shape, n_bytes, places in rows
        ]
        return states.assemble(bones, tensors)

    def _read(self, n_bytes: int, places: list[tuple[bytes, int, int]]) -> np.ndarray:
        out = np.empty(n_bytes, np.uint8)
        for start, (digest, number, offset) in zip(range(0, n_bytes, BLOCK_BYTES), places, strict=True):
            window = out[start : start + BLOCK_BYTES]
            _read_into(self.folder / f"{number:03}.blocks", offset, window)
            if blake3.blake3(window).digest() != digest:
                raise ValueError(f"block {digest.hex()} is damaged")
        return out


def _read_into(path: Path, offset: int, window: np.ndarray) -> None:
    with path.open("rb") as file:
        file.seek(offset)
        file.readinto(window)
