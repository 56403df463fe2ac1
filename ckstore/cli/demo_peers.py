"""What `torch.save`, plain and through zstd, takes for the same state: really written, made durable, read back."""

from __future__ import annotations

import io
import os
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import zstandard

ZSTD_LEVEL = 3


def measure(state: Any, keep_as: Path | None, scratch: Path) -> dict[str, float]:
    """Bytes and seconds of both peers for `state`. keep_as: where the plain file stays; None: it goes."""
    plain = keep_as or scratch / "peer.pt"
    packed = scratch / "peer.pt.zst"
    record = {f"torch_{name}": value for name, value in _plain(state, plain).items()}
    record |= {f"zstd_{name}": value for name, value in _packed(state, packed).items()}
    packed.unlink()
    if keep_as is None:
        plain.unlink()
    return record


def _plain(state: Any, file: Path) -> dict[str, float]:
    start = perf_counter()
    with open(file, "wb") as handle:
        torch.save(state, handle)
        handle.flush()
        os.fsync(handle.fileno())
    saved = perf_counter()
    torch.load(file)
    return {"bytes": file.stat().st_size, "save_s": saved - start, "load_s": perf_counter() - saved}


def _packed(state: Any, file: Path) -> dict[str, float]:
    start = perf_counter()
    raw = io.BytesIO()
    torch.save(state, raw)
    with open(file, "wb") as handle:
        handle.write(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(raw.getbuffer()))
        handle.flush()
        os.fsync(handle.fileno())
    saved = perf_counter()
    torch.load(io.BytesIO(zstandard.ZstdDecompressor().decompress(file.read_bytes())))
    return {"bytes": file.stat().st_size, "save_s": saved - start, "load_s": perf_counter() - saved}
