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
    """Of these, what another gc had begun to delete and old roots included."""
    waiting_writers: int
    """Writers still at work that began before the condemnation: the next gc deletes what this one condemned."""
    dropped_segments: int
    """Segments that it dropped, damaged ones or in an emergency: their chunks stay readable, but later saves may store
    them again."""
    unjudged_leases: int
    """Leases of other hosts, not watched for long enough yet to tell whether their holders live: it spared what those
    wrote."""
    repacked_packs: int = 0
    """Packs out of which it moved what is live of them."""
    repacked_bytes: int = 0
    """Bytes so moved."""
    repack_frees_bytes: int = 0
    """dry_run: dead bytes of these packs, on top of condemned_bytes."""
    rebased_frames: int = 0
    """Frames encoded anew without bases that lived only for them."""
    rebased_bytes: int = 0
    """Bytes of their new frames; with dry_run about."""
    archive_checkpoints: int = 0
    """Checkpoints all of whose frames `archive` has tried now; with dry_run those that it would look at."""
    archive_tried_bytes: int = 0
    """Bytes of the frames that were encoded again to see whether that makes them smaller; with dry_run at most."""
    archived_frames: int = 0
    """Frames that are smaller now."""
    archived_bytes: int = 0
    """Bytes written for that: these, and the frames that lay among them."""
    archive_saved_bytes: int = 0
    """By how much those are less than what they took before."""
    support_bytes: int = 0
    """dry_run: frames of deleted checkpoints that stay only because live frames are deltas of them."""
    unmovable: list[str] = []
    """Packs and frames that it could not move, each with what is wrong; `verify` tells whom that concerns."""
    stopped: str = ""
    """Why it moved less than it would have, if so: a disk without room for the copies."""
    checkpoints: list[CheckpointPlan] = []
    """dry_run: what deleting each checkpoint would do, oldest first."""


class CheckpointPlan(Report, frozen=True):
    """What deleting one checkpoint alone would do."""

    id: str
    ref: str
    freed_bytes: int
    """Freed at once: files that no other checkpoint needs."""
    support_bytes: int
    """Its own frames that would stay, because others are deltas of them."""
    rebase_bytes: int
    """About what it would take to encode those others without them."""
    damaged: bool
    """Whether it cannot be read: then its support is not known, nor is it counted whom it supports."""


class Damage(Report, frozen=True):
    """One damaged or missing object and the checkpoints that need it."""

    object: str
    problem: str
    checkpoints: list[str]
    tensors: dict[str, list[str]]
    """By checkpoint, the dotted paths of the tensors that cannot be read for it; ["*"]: all of the checkpoint."""


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
    """Most frames that one of its chunks is decoded from, one on top of the other."""
    codecs: dict[str, int]
    """Chunks by codec."""


class Kept(Report, frozen=True):
    """What a policy does to one checkpoint."""

    ref: str
    id: str
    action: str
    """kept, deleted or thinned."""
    reasons: list[str]


class KeepReport(Report, frozen=True):
    """What a policy did, or with dry_run would do."""

    dry_run: bool
    checkpoints: list[Kept]
    """Oldest first; with run=, those of that run."""
    freed_bytes: int
    """Bytes that the next gc can free for it, counted by whole files."""
    over_quota_bytes: int
    """Bytes that the store takes above the quota even so: what is left is tagged or protected."""
    time: float = 0.0
    """Seconds since 1970, from which ttl_s was counted."""

    def of(self, action: str) -> list[Kept]:
        """The checkpoints to which this is done."""
        return [one for one in self.checkpoints if one.action == action]


class ThinReport(Report, frozen=True):
    """What thinning one checkpoint would do."""

    ref: str
    id: str
    drop: list[str]
    n_tensors: int
    """Tensors that it would lose."""
    logical_bytes: int
    """Of these."""
    freed_bytes: int
    """Bytes that the next gc could free then, counted by whole files."""


class Remedy(Report, frozen=True):
    """Something that a repair has made anew, or with dry_run would."""

    object: str
    problem: str
    remedy: str


class Loss(Report, frozen=True):
    """What cannot be read any more of one checkpoint, and cannot be repaired."""

    ref: str
    """"?": entries of the catalog of which nothing is left."""
    id: str
    tensors: list[str]
    """Dotted paths; ["*"]: all of it; []: only its metrics, tags and meta."""
    problem: str


class RepairReport(Report, frozen=True):
    """What one repair did, or with dry_run would do."""

    dry_run: bool
    ok: bool
    """Nothing is damaged."""
    root_number: int
    """Of the root that was looked at."""
    remedies: list[Remedy]
    losses: list[Loss]
    copied_bytes: int
    """Stored bytes of the frames that went to new packs."""
