"""Inputs that once reached something new. They are read by every run; CKSTORE_FUZZ_KEEP=1 adds what a run has found."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent / "corpus"
MOST_INPUTS, MOST_BYTES = 40, 2048
"""What the corpus of one target may grow to, and how large an input in it may be."""


def read(name: str) -> list[bytes]:
    """The corpus of a target, in the order of its file names."""
    return [path.read_bytes() for path in sorted((HERE / name).glob("*.bin"))]


def keep(name: str, found: Sequence[bytes]) -> None:
    """Add the shortest of `found`, if that is wanted."""
    if os.environ.get("CKSTORE_FUZZ_KEEP") != "1":
        return
    folder = HERE / name
    folder.mkdir(parents=True, exist_ok=True)
    room = MOST_INPUTS - len(list(folder.glob("*.bin")))
    for data in sorted((data for data in found if len(data) <= MOST_BYTES), key=len)[: max(0, room)]:
        (folder / f"{hashlib.sha256(data).hexdigest()[:16]}.bin").write_bytes(data)
