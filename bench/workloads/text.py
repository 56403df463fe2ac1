"""Training data that every machine with Python has: the source of the standard library."""

from __future__ import annotations

import hashlib
import platform
import re
import sysconfig
from functools import cache
from pathlib import Path

import torch

LIMIT_BYTES = 16 << 20


@cache
def files() -> list[Path]:
    """Source files of the standard library in a fixed order, without tests and site-packages, 16 MiB at most."""
    root = Path(sysconfig.get_paths()["stdlib"])
    skip = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
    found, total = [], 0
    for path in sorted(root.rglob("*.py")):
        if skip.isdisjoint(path.relative_to(root).parts) and total < LIMIT_BYTES:
            found.append(path)
            total += path.stat().st_size
    return found


@cache
def corpus() -> bytes:
    """All of files(), joined."""
    return b"\n".join(path.read_bytes() for path in files())


def byte_ids(text: bytes) -> torch.Tensor:
    """One int64 id per byte."""
    return torch.frombuffer(bytearray(text), dtype=torch.uint8).long()


@cache
def word_ids(n_words: int) -> torch.Tensor:
    """The corpus as int64 word ids below `n_words`, by frequency; rarer words share ids by a hash."""
    words = re.findall(rb"\w+|[^\w\s]", corpus())
    counts: dict[bytes, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    common = sorted(counts, key=lambda word: (-counts[word], word))[:n_words]
    ids = {word: position for position, word in enumerate(common)}
    return torch.tensor([ids.get(word, int.from_bytes(word[:4].ljust(4, b"_")) % n_words) for word in words])


def windows(
    ids: torch.Tensor, n_rows: int, length: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """`n_rows` random windows of `length` ids, and the same windows one position on."""
    starts = torch.randint(len(ids) - length - 1, (n_rows, 1), generator=generator)
    index = starts + torch.arange(length)
    return ids[index], ids[index + 1]


def provenance() -> str:
    """Which text it was, for the results."""
    digest = hashlib.sha256(corpus()).hexdigest()[:16]
    size = f"{len(files())} files, {len(corpus())} bytes, sha256 {digest}"
    return f"standard library source of Python {platform.python_version()}: {size}"
