"""How much a gc may move, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ckstore.errors import UsageError

DEAD_SHARE = 0.30
"""Share of a pack that must be dead before the rest is moved: with less, much is moved to free little."""
MAX_SHARE = 0.10
"""Share of the store that one gc moves at most; the rest waits for the next one."""
FREE_BYTES = 256 << 20
"""What it may always move: a few packs of a small store are no work."""

Progress = Callable[[int, int, str], None]
"""Told (done, total, what) while something goes on; total 0: nobody knows."""


def silent(done: int, total: int, what: str) -> None:
    """Progress for nobody."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What may be moved. max_bytes: None = MAX_SHARE of the store, but FREE_BYTES in any case; 0: nothing at all."""

    dead_share: float = DEAD_SHARE
    max_bytes: int | None = None
    everywhere: bool = False
    """Look for support in every pack, not only where a checkpoint has just gone."""
    archive: int | None = None
    """Encode all but the newest so many of each run again, at the archive level; None: nothing."""

    def __post_init__(self) -> None:
        if self.archive is not None and (type(self.archive) is not int or self.archive < 0):
            raise UsageError(f"archive is how many of a run stay as they are, from 0 on, or None, not {self.archive!r}")
        if self.max_bytes is not None and (type(self.max_bytes) is not int or self.max_bytes < 0):
            raise UsageError(f"max_repack_bytes is a number of bytes from 0 on, or None, not {self.max_bytes!r}")

    def limit(self, store_bytes: int) -> int:
        """Most bytes that a repack moves in a store of so many."""
        return max(int(MAX_SHARE * store_bytes), FREE_BYTES) if self.max_bytes is None else self.max_bytes


USUAL = Upkeep()


@dataclass(slots=True)
class Tended:
    """What was moved."""

    packs: int = 0
    """Packs emptied by a repack."""
    moved_bytes: int = 0
    rebased: int = 0
    """Frames encoded anew, without the bases they had."""
    rebased_bytes: int = 0
    noted: int = 0
    """Checkpoints all of whose frames the archive pass has tried now."""
    tried_bytes: int = 0
    """Bytes of the frames that it tried."""
    archived: int = 0
    """Frames that it made smaller."""
    archived_bytes: int = 0
    """Bytes that it wrote: their new frames, and those that lay among them."""
    saved_bytes: int = 0
    archive_left: bool = False
    """Whether there is more to be tried."""
    judged: set[str] = field(default_factory=set)
    """Packs that it need not look at again."""
    looked_at_bytes: int = 0
    """Bytes of packs that it has looked at."""
    unmovable: dict[str, str] = field(default_factory=dict)
    """What is wrong, by pack or frame that could not be moved."""
    stopped: str = ""
    """Why it was cut short, if it was."""
    partial: bool = False
    """Whether support may have been left that only a look everywhere finds again."""
