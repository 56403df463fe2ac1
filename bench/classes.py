"""`python -m bench classes`: where the bytes of a workload go, by class of tensor, for ckstore's codec and its peers.

Codecs only: every chunk is coded against the same chunk one checkpoint before (peers: the XOR with it; ckstore: what it
likes best), chunks seen before cost ckstore nothing. Use it to see which class costs more than a peer needs for it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import blake3
import numpy as np
from rich.table import Table

from bench import cache, states
from bench.codecs.base import Chunk, Codec
from bench.codecs.ckstore import Ckstore
from bench.codecs.floats import Zipnn
from bench.codecs.generic import Planes
from bench.floor import Floor
from bench.kinds import CHUNK_ELEMENTS, part_of
from ckstore.format.frame import CODEC_NAMES

Sizes = dict[str, Counter[str]]
"""Class of tensor to bytes by codec; "logical" is one of the keys, "codec N" counts ckstore's choices."""


def measure(workload: str, size: str) -> Sizes:
    """In a child: bytes of all checkpoints of a workload."""
    sizes: Sizes = {}
    seen: set[bytes] = set()
    peers = {"planes+zstd-1": Planes(), "ZipNN": Zipnn()}
    previous: dict[str, states.NamedTensor] = {}
    for item in cache.prepare(workload, size):
        tensors = {entry.name: entry for entry in states.named_tensors(item.load())}
        for entry in tensors.values():
            column = sizes.setdefault(part_of(entry.name), Counter())
            for chunk in _chunks(entry, previous.get(entry.name), _master(entry, tensors)):
                column["logical"] += len(chunk.raw)
                _peers(column, peers, chunk)
                _ckstore(column, chunk, seen)
        previous = tensors
    return sizes


def table(workload: str, sizes: Sizes, floor: Floor) -> Table:
    """Bytes of each class as shares of its logical bytes."""
    out = Table(title=f"{workload}: share of each class of tensor, by codec")
    names = ("planes+zstd-1", "XOR+planes+zstd-1", "ZipNN", "XOR+ZipNN", "ckstore")
    for name in ("class", "logical MiB", *names, "floor", "ckstore's frames"):
        out.add_column(name, justify="right")
    total: Counter[str] = Counter()
    for counts in sizes.values():
        total.update(counts)
    for part, counts in [*sizes.items(), ("all", total)]:
        frames = " ".join(f"{name[6:]}:{n}" for name, n in counts.items() if name.startswith("frame "))
        bits = sum(floor.bits.values()) if part == "all" else floor.bits[part]
        shares = [f"{n_bytes / counts['logical']:.4f}" for n_bytes in (*(counts[name] for name in names), bits / 8)]
        out.add_row(part, f"{counts['logical'] / 2**20:.1f}", *shares, frames)
    return out


def _peers(column: Counter[str], peers: dict[str, Codec], chunk: Chunk) -> None:
    alone = Chunk(chunk.raw, chunk.dtype, chunk.item_bytes)
    for name, codec in peers.items():
        taker = codec if codec.takes(chunk.dtype) else peers["planes+zstd-1"]
        for prefix, what in (("", alone), ("XOR+", chunk)):
            column[prefix + name] += min(len(chunk.raw), taker.payload_bytes(taker.encode_chunk(what)))


def _ckstore(column: Counter[str], chunk: Chunk, seen: set[bytes]) -> None:
    digest = blake3.blake3(chunk.raw).digest()
    if digest in seen:
        column["frame same"] += 1
        return
    seen.add(digest)
    codec = Ckstore()
    encoded = codec.encode_chunk(chunk)
    column["ckstore"] += codec.payload_bytes(encoded)
    column[f"frame {CODEC_NAMES[encoded.codec]}"] += 1


def _master(entry: states.NamedTensor, tensors: dict[str, states.NamedTensor]) -> states.NamedTensor | None:
    """The float32 tensor of the same last names, for a bfloat16 one."""
    found = tensors.get("master." + entry.name.partition(".")[2])
    return found if entry.dtype == "bfloat16" and found and found.tensor.shape == entry.tensor.shape else None


def _chunks(entry: states.NamedTensor, before: Any, master: Any) -> list[Chunk]:
    raw, width = entry.raw, entry.tensor.element_size()
    known = before is not None and before.dtype == entry.dtype and before.tensor.shape == entry.tensor.shape
    found = []
    for start in range(0, entry.tensor.numel(), CHUNK_ELEMENTS):
        base = _cut(before.raw, start, width) if known else None
        found.append(
            Chunk(_cut(raw, start, width), entry.dtype, width, base, _cut(master.raw, start, 4) if master else None)
        )
    return found


def _cut(data: np.ndarray, start: int, width: int) -> np.ndarray:
    return data[start * width : (start + CHUNK_ELEMENTS) * width]
