"""What verify, repair, keep and gc tell beside each other, and what they may cost beside savers."""

from __future__ import annotations

from functools import partial

from tests.concurrency import test_busy as busy
from tests.concurrency import test_gcs as gcs
from tests.concurrency import test_moving_ground as ground
from tests.guards.cuts import Cut
from tests.guards.guard import Guard
from tests.unit.cli import test_quantity as quantity
from tests.unit.engine import test_after_commit as saves
from tests.unit.engine import test_keep_limits as limits

TOLD: dict[str, Guard] = {
    # -- verify and repair
    "damage counts if the newest root needs it": Guard(
        Cut(
            "seen.is_settled = not (session.repo.readonly and _is_overtaken(session.repo, seen))",
            "seen.is_settled = True",
        ),
        partial(ground.test_a_verify_beside_retention_finds_a_whole_store_whole, level="stored"),
    ),
    "what is new is looked at": Guard(
        Cut("    seen.root = root\n    return True", "    return False"),
        partial(ground.test_what_got_other_objects_meanwhile_is_looked_at_with_these, level="stored"),
    ),
    "what a deleted checkpoint lacks": Guard(
        Cut('str(error.details.get("object", f"closure {entry.closure.name}"))', 'f"closure {entry.closure.name}"'),
        ground.test_what_a_deleted_checkpoint_lacks_is_no_damage_to_its_closure,
    ),
    "a base that a gc removed": Guard(
        Cut('str(error.details.get("object", row_name(rows[i])))', "row_name(rows[i])"),
        ground.test_a_frame_whose_base_a_gc_removed_is_not_damaged,
    ),
    "a pack that vanishes while it is read": Guard(
        Cut("with suppress(CkError, OSError):\n        data = ", "with suppress(OSError):\n        data = "),
        ground.test_a_pack_that_vanishes_while_packs_are_read_is_damage_and_no_error,
    ),
    "floor after a repair that writes nothing": Guard(
        Cut("writer.commit(lambda root: root, {})"),
        ground.test_a_repair_that_was_given_up_while_it_looked_says_nothing_of_what_it_saw,
    ),
    "a look of repair that is not settled": Guard(
        Cut("if not seen.is_settled:", "if False:"),
        ground.test_a_look_of_repair_to_which_nobody_leaves_the_time_tells_nothing,
    ),
    "a look of repair at what is gone": Guard(
        Cut("        _forget_gone(session.repo, plan)", "        pass"),
        ground.test_a_look_of_repair_tells_of_no_checkpoint_that_was_deleted_meanwhile,
    ),
    "a look of repair that begins again": Guard(
        Cut("return session.repo.at_newest(look)", "return look(session.repo.root())"),
        ground.test_a_look_of_repair_begins_again_where_a_gc_removed_what_it_was_reading,
    ),
    # -- gc and keep
    "what another gc was deleting counts": Guard(
        Cut("done.deleted.update(_finish(repo, progress))", "_finish(repo, progress)"),
        gcs.test_what_a_killed_gc_was_deleting_counts_for_the_next,
    ),
    "old roots count": Guard(
        Cut(
            "done.deleted.update(trim.remove_roots(repo, root.trimmed_to))", "trim.remove_roots(repo, root.trimmed_to)"
        ),
        gcs.test_roots_that_are_trimmed_count,
    ),
    "what a checkpoint needs is read once": Guard(
        Cut("if key not in self._found:", "if True:"),
        busy.test_a_gc_that_loses_races_reads_what_is_new_and_writes_nothing_twice,
    ),
    "a segment is replaced once": Guard(
        Cut("if (ref.name, gone) not in written:", "if True:"),
        busy.test_a_gc_that_loses_races_reads_what_is_new_and_writes_nothing_twice,
    ),
    "all that is dead is unlisted at once": Guard(
        Cut("{name for kind, name in found if kind == PACK}", "{name for kind, name in chosen if kind == PACK}"),
        busy.test_a_gc_of_many_batches_looks_around_once,
    ),
    "a page of the catalog is replaced once": Guard(
        Cut("pages.setdefault(gone, {})", "{}"),
        busy.test_a_keep_that_loses_races_reads_what_is_new_and_writes_nothing_twice,
    ),
    "a time to live counts from what was agreed to": Guard(
        Cut("agreed.time if agreed else clock()", "clock()"),
        limits.test_what_expires_while_a_person_thinks_is_what_was_agreed_to,
    ),
    "a quota counts the reserve": Guard(
        Cut("fixed + RESERVE_BYTES", "fixed"), limits.test_a_quota_counts_what_every_gc_leaves
    ),
    # -- others
    "a reserve that cannot be made": Guard(
        Cut("with suppress(StorageError):  # the checkpoint is published", "if True:  # the checkpoint is published"),
        partial(saves.test_what_the_disk_says_after_the_commit_does_not_undo_the_save, what="sizes"),
    ),
    "sizes that nothing has": Guard(
        Cut("if value >= _MOST:", "if False:"), partial(quantity.test_a_size_that_nothing_has, written="8192PiB")
    ),
}
