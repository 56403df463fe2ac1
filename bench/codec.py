"""`python -m bench codec`: ratio and speed of codecs on one core, by kind of tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import blake3
import numpy as np
import xxhash
from rich.table import Table

from bench import clock, kinds
from bench.codecs import CODECS
from bench.codecs.base import Chunk, Codec


@dataclass(frozen=True, slots=True)
class Row:
    """One codec on one kind of tensor. Speeds are GB of logical bytes a second, best of the rounds."""

    kind: str
    codec: str
    n_bytes: int
    share: float
    """Payload bytes over logical bytes; the ratio is 1 / share."""
    encode: float | None
    """None: not told apart from what a store does besides."""
    encode_hash: float | None
    """With BLAKE3-256 and XXH3-128 of the logical bytes, as a store needs them."""
    encode_hash_check: float
    """And with decoding what was encoded and comparing it."""
    decode: float | None
    decode_hash: float
    """With BLAKE3-256 of what came out."""
    exact: bool


def rows(size: str, most_bytes: int, rounds: int, chosen: tuple[str, ...], wanted: tuple[str, ...]) -> Iterator[Row]:
    """In a child on one core: each chosen codec on each kind whose name holds one of `wanted` (none: all)."""
    codecs = [CODECS[name]() for name in chosen]
    for kind, chunks in kinds.buffers(size, most_bytes):
        for codec in codecs:
            if codec.takes(chunks[0].dtype) and (not wanted or any(word in kind for word in wanted)):
                yield measure(kind, codec, chunks, rounds)


def all_rows(*arguments: Any) -> list[Row]:
    """rows() as a list, to come from a child process."""
    return list(rows(*arguments))


def measure(kind: str, codec: Codec, chunks: list[Chunk], rounds: int) -> Row:
    """One row; every chunk is decoded and compared in the same run."""
    payloads = [codec.encode_chunk(chunk) for chunk in chunks]
    n_bytes = sum(len(chunk.raw) for chunk in chunks)
    stored = sum(codec.payload_bytes(payload) for payload in payloads)
    times = 1 if codec.slow else rounds
    exact = all(_same(codec.decode_chunk(p, c), c) for p, c in zip(payloads, chunks, strict=True))

    def speed(call: Callable[..., None], *arguments: Any) -> float:
        return round(n_bytes / min(clock.seconds(call, codec, *arguments) for _ in range(times)) / 1e9, 3)

    flags = ((False, False), (True, False), (True, True))
    encodes = [speed(encode, chunks, *pair) for pair in flags]
    decodes = [speed(decode, payloads, chunks, flag) for flag in (False, True)]
    return Row(kind, codec.name, n_bytes, round(stored / n_bytes, 5), *encodes, *decodes, exact)


def encode(codec: Codec, chunks: list[Chunk], hashing: bool, checking: bool) -> None:
    """Encode all chunks, with what a store does besides."""
    for chunk in chunks:
        if hashing:
            blake3.blake3(chunk.raw).digest()
            xxhash.xxh3_128_digest(chunk.raw)
        payload = codec.encode_chunk(chunk)
        if checking and not _same(codec.decode_chunk(payload, chunk), chunk):
            raise ValueError(f"{codec.name} does not give back what it was given")


def decode(codec: Codec, payloads: list[Any], chunks: list[Chunk], hashing: bool) -> None:
    """Decode all chunks."""
    for payload, chunk in zip(payloads, chunks, strict=True):
        out = codec.decode_chunk(payload, chunk)
        if hashing:
            blake3.blake3(out).digest()


def table(kind: str, found: list[Row]) -> Table:
    """All codecs on one kind."""
    out = Table(title=f"{kind}: {found[0].n_bytes / 2**20:.1f} MiB, GB/s on one core")
    names = ("codec", "share", "ratio", "encode", "+hash", "+hash+check", "decode", "+hash", "exact")
    for name in names:
        out.add_column(name, justify="left" if name == "codec" else "right")
    for row in found:
        speeds = (row.encode, row.encode_hash, row.encode_hash_check, row.decode, row.decode_hash)
        cells = (
            f"{row.share:.4f}",
            f"{1 / row.share:.3f}",
            *("-" if value is None else f"{value:.2f}" for value in speeds),
            "yes" if row.exact else "NO",
        )
        out.add_row(row.codec, *cells, style="bold" if row.codec.startswith("ckstore") else None)
    return out


def to_dict(row: Row) -> dict[str, Any]:
    """A row for the JSON file."""
    return asdict(row)


def _same(out: Any, chunk: Chunk) -> bool:
    return np.array_equal(np.frombuffer(out, np.uint8), chunk.raw)
