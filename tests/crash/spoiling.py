"""Damage that a repair can make good, done to a store before a scenario: of every kind at once."""

from __future__ import annotations

import shutil
from pathlib import Path

from ckstore.format.envelope import HEADER_BYTES


def spoil(store: Path) -> None:
    """Flip a bit of the newest root, of a page of the catalog, a closure, a segment, and a frame that lies twice."""
    pack = min((store / "pack").iterdir())
    shutil.copy(pack, pack.with_name("1-0123456789abcdef-1"))
    _flip(pack, HEADER_BYTES + 100)
    for kind in ("root", "catalog", "closure", "segment"):
        for file in sorted((store / kind).iterdir())[:1]:
            _flip(file, -40)


def _flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)
