"""Peers that code tensor by tensor: one file a checkpoint, payloads one after another behind a pickled head."""

from __future__ import annotations

import pickle
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bench import disk, states
from bench.peers.base import Peer
from bench.workloads.common import Checkpoint

Known = dict[str, tuple[str, tuple[int, ...], np.ndarray]]
"""Name of a tensor to its dtype, shape and bytes."""


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    dtype: str
    shape: tuple[int, ...]
    n_bytes: int
    payload_bytes: int


class TensorPeer(Peer):
    """Subclasses give encode() and decode() of one tensor's bytes.

    chained: each tensor may use the tensor of the same name, dtype and shape in the checkpoint saved before; the peer
    then keeps a copy of that checkpoint in memory.
    """

    chained = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._known: Known = {}
        self._number = -1

    @abstractmethod
    def encode(self, raw: np.ndarray, dtype: str, item_bytes: int, base: np.ndarray | None) -> bytes:
        """The payload of one tensor."""

    @abstractmethod
    def decode(
        self, payload: memoryview, n_bytes: int, dtype: str, item_bytes: int, base: np.ndarray | None
    ) -> np.ndarray:
        """Inverse of encode(): writable bytes."""

    def save(self, item: Checkpoint, number: int) -> None:
        rows, known = [], Known()
        with disk.durable(self.folder / f"{number:03}.payloads") as file:
            for entry in states.named_tensors(item.state):
                raw, shape = entry.raw, tuple(entry.tensor.shape)
                base = self._base(entry.name, entry.dtype, shape)
                payload = self.encode(raw, entry.dtype, entry.tensor.element_size(), base)
                file.write(payload)
                rows.append(_Row(entry.name, entry.dtype, shape, len(raw), len(payload)))
                if self.chained:
                    known[entry.name] = (entry.dtype, shape, raw.copy())
        with disk.durable(self.folder / f"{number:03}.head") as file:
            pickle.dump((states.skeleton(item.state), rows), file, protocol=5)
        self._known = known

    def load(self, number: int) -> Any:
        first = (self._number + 1 if self._number < number else 0) if self.chained else number
        if first == 0:
            self._known = {}
        for step in range(first, number + 1):  # a chain of deltas has to be walked from where we are
            bones, tensors = self._load_one(step)
        return states.assemble(bones, tensors)

    def _load_one(self, number: int) -> tuple[bytes, list[Any]]:
        bones, rows = pickle.loads((self.folder / f"{number:03}.head").read_bytes())
        data = memoryview((self.folder / f"{number:03}.payloads").read_bytes())
        known, tensors, offset = Known(), [], 0
        for row in rows:
            base = self._base(row.name, row.dtype, row.shape)
            item_bytes = getattr(torch, row.dtype).itemsize
            raw = self.decode(data[offset : offset + row.payload_bytes], row.n_bytes, row.dtype, item_bytes, base)
            offset += row.payload_bytes
            tensors.append(states.tensor_from(raw, row.dtype, row.shape))
            known[row.name] = (row.dtype, row.shape, raw)
        self._known, self._number = (known if self.chained else {}), number
        return bones, tensors

    def _base(self, name: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray | None:
        found = self._known.get(name)
        return found[2] if self.chained and found and found[:2] == (dtype, shape) else None
