"""What a gc has done so far, attempts that were given up included, and its report."""

from __future__ import annotations

from dataclasses import dataclass, field

from ckstore.engine.gc.upkeep import Tended
from ckstore.engine.reach import Object
from ckstore.engine.reports import GcReport


@dataclass
class Done:
    """Filled in step by step."""

    condemned: dict[Object, int] = field(default_factory=dict)
    deleted: dict[Object, int] = field(default_factory=dict)
    """What another gc had begun to delete, and old roots, among them."""
    n_dropped: int = 0
    """Segments that were dropped, not replaced."""
    tended: Tended = field(default_factory=Tended)

    def report(self, writers: int, n_unjudged: int) -> GcReport:
        """writers: that are still waited for. n_unjudged: leases of other hosts that nobody can judge yet."""
        tended = self.tended
        return GcReport(
            dry_run=False, condemned_objects=len(self.condemned), condemned_bytes=sum(self.condemned.values()),
            deleted_objects=len(self.deleted), freed_bytes=sum(self.deleted.values()), waiting_writers=writers,
            dropped_segments=self.n_dropped, unjudged_leases=n_unjudged, repacked_packs=tended.packs,
            repacked_bytes=tended.moved_bytes, rebased_frames=tended.rebased, rebased_bytes=tended.rebased_bytes,
            archive_checkpoints=tended.noted, archive_tried_bytes=tended.tried_bytes, archived_frames=tended.archived,
            archived_bytes=tended.archived_bytes, archive_saved_bytes=tended.saved_bytes,
            unmovable=[f"{what}: {problem}" for what, problem in tended.unmovable.items()], stopped=tended.stopped,
        )  # fmt: skip
