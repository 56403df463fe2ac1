"""Peers that write one ordinary file a checkpoint: torch.save, torch.save through zstd, safetensors."""

from __future__ import annotations

import io
import os
from typing import Any

import safetensors.torch
import torch
import zstandard

from bench import disk, states
from bench.peers.base import Peer
from bench.workloads.common import Checkpoint


class TorchSave(Peer):
    """torch.save, fsynced."""

    name = "torch.save"

    def save(self, item: Checkpoint, number: int) -> None:
        with disk.durable(self.folder / f"{number:03}.pt") as file:
            torch.save(item.state, file)

    def load(self, number: int) -> Any:
        return torch.load(self.folder / f"{number:03}.pt", weights_only=False)


class TorchZstd(Peer):
    """torch.save through zstd, level 3."""

    name = "torch.save+zstd-3"

    def save(self, item: Checkpoint, number: int) -> None:
        coder = zstandard.ZstdCompressor(level=3)
        with disk.durable(self.folder / f"{number:03}.pt.zst") as file, coder.stream_writer(file, closefd=False) as out:
            torch.save(item.state, _Sink(out))

    def load(self, number: int) -> Any:
        with (self.folder / f"{number:03}.pt.zst").open("rb") as file:
            return torch.load(io.BytesIO(zstandard.ZstdDecompressor().stream_reader(file).read()), weights_only=False)


class _Sink:
    """Shows torch.save a stream it can only write to: it then asks for nothing else."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, data: Any) -> int:
        self._stream.write(data)
        return len(data)

    def flush(self) -> None:
        return None


class SafeTensors(Peer):
    """All tensors of the state flattened into one safetensors file; the rest of the state pickled beside it."""

    name = "safetensors"

    def save(self, item: Checkpoint, number: int) -> None:
        tensors = {entry.name: entry.tensor.contiguous() for entry in states.named_tensors(item.state)}
        path = self.folder / f"{number:03}.safetensors"
        safetensors.torch.save_file(tensors, path)
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        with disk.durable(path.with_suffix(".rest")) as file:
            file.write(states.skeleton(item.state, names=True))

    def load(self, number: int) -> Any:
        path = self.folder / f"{number:03}.safetensors"
        mapped = safetensors.torch.load_file(path)
        tensors = {name: tensor.clone() for name, tensor in mapped.items()}  # read now, as all other peers do
        return states.assemble(path.with_suffix(".rest").read_bytes(), tensors)
