"""What gc, verify, stats and usage report: frozen records with `.to_dict()`."""

from __future__ import annotations

from typing import Any

import msgspec


class Report(msgspec.Struct, frozen=True):
    """Base of all reports."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists, as for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


class GcReport(Report, frozen=True):
    """What one gc did, or with dry_run would do."""

    dry_run: bool
    condemned_objects: int
    condemned_bytes: int
    deleted_objects: int
    freed_bytes: int
    waiting_writers: int
    """Writers still at work that began before the condemnation: the next gc deletes what this one condemned."""
    dropped_segments: int
    """Damaged segments that it dropped: their chunks stay readable, but later saves may store them again."""
    unjudged_leases: int
    """Leases of other hosts, not watched for long enough yet to tell whether their holders live: it spared what those
    wrote."""


class Damage(Report, frozen=True):
    """One damaged or missing object and the checkpoints that need it."""

    object: str
    problem: str
    checkpoints: list[str]


class VerifyReport(Report, frozen=True):
    """What verify looked at and what it found."""

    level: str
    ok: bool
    checked_objects: int
    checked_bytes: int
    damages: list[Damage]


class RunStats(Report, frozen=True):
    """One run of a store."""

    run: str
    n_checkpoints: int
    logical_bytes: int
    stored_bytes: int
    """Bytes that its saves added."""


class StatsReport(Report, frozen=True):
    """A store as a whole."""

    n_checkpoints: int
    logical_bytes: int
    stored_bytes: int
    """Bytes of all files of the store."""
    root_bytes: int
    """Of these, the roots: one for every commit, until a gc trims them."""
    n_packs: int
    n_chunks: int
    damaged_segments: int
    """Segments that cannot be read: packs and chunks that only they list are not counted."""
    root_number: int
    runs: list[RunStats]


class CheckpointUsage(Report, frozen=True):
    """What one checkpoint takes."""

    id: str
    ref: str
    stored_bytes: int
    exclusive_bytes: int
    """Bytes that gc would free if this checkpoint alone were deleted."""
    damaged: bool
    """Whether its closure cannot be read: what else it needs is not known, and gc frees nothing while it is there."""


class UsageReport(Report, frozen=True):
    """What every checkpoint takes."""

    total_bytes: int
    dead_bytes: int
    """Bytes that gc would free now."""
    checkpoints: list[CheckpointUsage]


class FreedReport(Report, frozen=True):
    """What deleting some checkpoints would free."""

    exclusive_bytes: int
    damaged: list[str]
    """Checkpoints of the store whose closures cannot be read: what only they need is not counted."""


class LeafInfo(Report, frozen=True):
    """One leaf of a checkpoint."""

    path: str
    kind: str
    dtype: str
    shape: list[int]
    nbytes: int
    stored_bytes: int
    """Bytes of its own frames; chunks shared with other leaves count for each."""
    n_chunks: int
    max_chain: int
    """Most frames that one of its chunks is decoded from."""
    codecs: dict[str, int]
    """Chunks by codec."""
