"""How hard the codec tries. Any level reads what any other wrote: a level is of a save, not of the format."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from ckstore.errors import UsageError


class Effort(NamedTuple):
    """What a level spends on a stream."""

    step: int
    """Of so many bytes one is counted for a Huffman code."""
    trial_bytes: int
    """Bytes on which tiers are tried."""
    zstd: tuple[int, ...]
    """The levels of zstd that are tried where repeated sequences are likely."""
    palette_least: float
    """From so many bits a byte on a palette of four bits is worth a try."""
    palette_cost: float
    """Bits a byte it may cost above the entropy, for its speed."""


class Level(Enum):
    """What a save may spend on a chunk."""

    FAST = "fast"
    """Half a byte for each exponent, a small sample, few trials: for a disk that takes more than a core can code."""
    BALANCED = "balanced"
    """About the entropy of what is stored, at the speed of the kernels."""
    ARCHIVE = "archive"
    """Every plan is tried, on all of the chunk; the smallest is kept. Decodes like the others."""

    @property
    def effort(self) -> Effort:
        """What this level spends on a stream."""
        return _EFFORTS[self]


_EFFORTS = {
    Level.FAST: Effort(8, 1 << 14, (1,), 2.0, 3.0),
    Level.BALANCED: Effort(4, 1 << 16, (1, 3), 3.9, 0.04),
    Level.ARCHIVE: Effort(1, 1 << 24, (1, 19), 3.9, 0.0),
}


def parse(name: str | Level) -> Level:
    """The level of this name. Raises UsageError for any other."""
    try:
        return Level(name)
    except ValueError:
        valid = ", ".join(level.value for level in Level)
        raise UsageError(f"{name!r} is no level of the codec; there are {valid}") from None
