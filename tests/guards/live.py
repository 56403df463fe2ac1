"""Every compare-and-set and every test of liveness in commit and gc."""

from __future__ import annotations

from functools import partial

from tests.concurrency import test_commits as commits
from tests.concurrency import test_gcs as gcs
from tests.concurrency import test_guards as behind
from tests.concurrency import test_keeping as keeping
from tests.concurrency import test_leases as leases
from tests.concurrency import test_readers as readers
from tests.concurrency import test_savers as savers
from tests.guards import races
from tests.guards.cuts import Cut
from tests.guards.guard import Guard
from tests.unit.engine import test_gc as gc
from tests.unit.store import test_failed_writers as failed
from tests.unit.store import test_fs as files
from tests.unit.store import test_roots as roots

_RESCUED = "wanted = {key for key in condemned if key in needed or writer_of(key[1]) == self.name}"
_LOST = "if newest.trimmed_to < root.number or holds(newest):"
_FLOOR = "if self.epoch < base.floor:\n            raise WriterExpired("
_READ = "                root = self._roots.newest()\n"
_SEEN = "writers = {writer for writer in observer.writers() if observer.live(writer)}"
_LISTED = "there = reach.on_disk(repo)"

LIVE: dict[str, Guard] = {
    # -- compare and set
    "create is exclusive": Guard(
        Cut("os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC", "os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC"),
        files.test_create_never_replaces,
    ),
    "publish does not replace": Guard(
        Cut("os.link(self.locate(source), self.locate(path))", "os.replace(self.locate(source), self.locate(path))"),
        files.test_publish_never_replaces_and_leaves_no_temporary,
    ),
    "a number that is taken is not ours": Guard(
        Cut("                if not self._is_there(root):\n                    return None", "                pass"),
        commits.test_a_saver_that_loses_three_races_in_a_row_commits_after_the_third,
    ),
    "a number that is taken may be ours": Guard(
        Cut("if not self._is_there(root):", "if True:"),
        races.an_answer_that_says_taken_once_does_not_commit_twice,
    ),
    "a root below what is trimmed is lost": Guard(
        Cut(_LOST, "if True:"),
        commits.test_a_saver_that_slept_while_its_number_was_used_and_forgotten_commits_again,
    ),
    "a root that was trimmed may have been read": Guard(
        Cut(_LOST, "if newest.trimmed_to < root.number:"),
        commits.test_a_saver_that_slept_after_its_link_does_not_commit_twice,
    ),
    "a new closure is for the entry it was made from": Guard(
        Cut("return (then.manifest, then.closure) == (now.manifest, now.closure)", "return True"),
        races.of_two_new_closures_the_second_does_not_undo_the_first,
    ),
    "nothing is cleaned up after an unknown outcome": Guard(
        Cut("if error is not None and self._is_unknown(error):", "if error is not None:"),
        failed.test_after_a_publish_whose_outcome_is_unknown_nothing_is_removed,
    ),
    "flags of the root that is extended": Guard(
        Cut("            check_writable(base)", "            pass"),
        behind.test_a_feature_that_came_meanwhile_and_that_this_build_cannot_write_stops_the_commit,
    ),
    # -- liveness of what a commit needs
    "floor at commit": Guard(
        Cut(_FLOOR, _FLOOR.replace("self.epoch < base.floor", "False")),
        savers.test_a_writer_that_is_given_up_publishes_nothing,
    ),
    "floor again after a lost race": Guard(
        Cut("self._check_floor(base)", "self._n_published or self._check_floor(base)"),
        races.a_saver_that_lost_its_race_to_a_gc_is_expired,
    ),
    "rescue again after a lost race": Guard(
        Cut("change(self._rescue(base, needed))", "change(base if self._n_published else self._rescue(base, needed))"),
        races.what_was_condemned_while_a_race_was_lost_comes_back,
    ),
    "floor at the begin": Guard(
        Cut("if (epoch_of(name) or 0) >= root.floor:", "if True:"),
        behind.test_a_writer_that_was_given_up_before_it_saw_the_store_takes_another_name,
    ),
    "packs are live by name": Guard(
        Cut("gone = _unused(objects, base, packs - segments.live_packs(base)) if packs else packs", "gone = set()"),
        behind.test_a_commit_that_needs_a_pack_no_segment_names_is_refused,
    ),
    "nothing needed is being deleted": Guard(
        Cut("doomed = {(item.kind, item.name) for item in base.deleting} & set(needed)", "doomed = set()"),
        behind.test_a_commit_that_needs_what_is_being_deleted_is_refused,
    ),
    "rescue of what is needed": Guard(
        Cut(_RESCUED, "wanted = {key for key in condemned if writer_of(key[1]) == self.name}"),
        savers.test_what_a_saver_found_in_another_run_comes_back_when_a_gc_condemned_it,
    ),
    "rescue of what was just written": Guard(
        Cut(_RESCUED, "wanted = {key for key in condemned if key in needed}"),
        savers.test_a_saver_taken_for_dead_takes_back_what_it_had_just_written,
    ),
    # -- liveness in gc
    "floor is raised": Guard(
        Cut("floor = max([base.floor, *(item.number for item in dead)])", "floor = base.floor"),
        savers.test_a_writer_that_is_given_up_publishes_nothing,
    ),
    "what is released is dead": Guard(
        Cut("dead = [item for item in due if (item.kind, item.name) not in live]", "dead = due"),
        behind.test_a_gc_deletes_nothing_that_a_checkpoint_needs_whatever_was_condemned,
    ),
    "what is released was waited for": Guard(
        Cut(
            "left = [item for item in base.condemned if item.number > number]",
            "left = []",
            (("due = [item for item in base.condemned if item.number <= number]", "due = base.condemned"),),
        ),
        gcs.test_a_gc_frees_nothing_that_another_condemned_while_it_waited,
    ),
    "what is condemned is named no more": Guard(
        Cut("condemned=[*base.condemned, *more], segments=segments,", "condemned=[*base.condemned, *more],"),
        races.segments_name_no_pack_that_is_gone,
    ),
    "a gc waits for the living": Guard(
        Cut("living = [writer for writer in old if observer.live(writer)]", "living = []"),
        gc.test_a_living_writer_that_began_earlier_is_waited_for_not_expired,
    ),
    "writers are listed after objects": Guard(
        Cut(_LISTED, f"{_SEEN}; {_LISTED}", ((f"    {_SEEN}\n", "    pass\n"),)),
        behind.test_a_saver_that_begins_while_a_gc_looks_around_is_left_alone,
    ),
    "a lock is a life": Guard(
        Cut("return not _lockable(fd)", "return False"), leases.test_a_held_lease_is_alive_and_a_released_one_is_gone
    ),
    "a lease is locked before it can be seen": Guard(
        Cut("fcntl.flock(self._fd, fcntl.LOCK_EX)"), behind.test_a_lease_is_locked_before_it_can_be_seen
    ),
    "a lease comes before the root": Guard(
        Cut(
            "                lease = Lease(self._fs, name)",
            "                root = self._roots.newest(); lease = Lease(self._fs, name)",
            ((_READ + "                check_writable(root)", "                check_writable(root)"),),
        ),
        behind.test_a_writer_is_seen_before_it_looks_at_the_store,
    ),
    "a reader asks the newest root": Guard(
        Cut("if not isinstance(error, MissingObjectError):\n                raise", "raise"),
        readers.test_a_closure_replaced_between_the_resolving_and_the_reading_is_found,
    ),
    "an entry of a deleted checkpoint": Guard(
        Cut("if not isinstance(error, MissingObjectError):\n                raise", "raise"),
        partial(readers.test_a_checkpoint_deleted_while_it_is_read_is_reported_as_deleted, moment="closure"),
    ),
    "a listing that misses a root is taken again": Guard(
        Cut("if self.root().number == root.number:\n                    raise", "raise"),
        readers.test_a_listing_during_which_a_catalog_page_is_replaced_is_made_again,
    ),
    # -- what every root is asked
    "a listing may be late": Guard(
        Cut("while self._fs.exists(root_path(number + 1)):", "while False:"),
        roots.test_the_newest_root_is_found_by_name_where_the_listing_is_late,
    ),
    "a root says its own number": Guard(
        Cut("if root.number != number or header.head_offset != envelope.HEADER_BYTES:", "if False:"),
        races.a_root_under_another_number_is_refused,
    ),
    "flags that stop everyone": Guard(
        Cut("        check_readable(root)", "        pass"),
        roots.test_an_unknown_incompatible_flag_stops_everyone_at_once,
    ),
    # -- what a change finds changed
    "a tag is free in the root that is extended": Guard(
        Cut("catalog.check_free(session.repo, base, intent.tags)  # somebody may have taken one meanwhile"),
        commits.test_a_tag_that_was_taken_meanwhile_is_refused,
    ),
    "a tag protects in the root that is extended": Guard(
        Cut("if old.tags:", "if False:"), commits.test_a_checkpoint_that_was_tagged_meanwhile_is_not_deleted
    ),
    "a policy chooses for the root that is extended": Guard(
        Cut("choice = look.choice(base)", "choice = look.choice(writer.root)"),
        keeping.test_what_was_tagged_at_the_last_moment_stays,
    ),
    # -- after a failure
    "what lost its number may be known": Guard(
        Cut("            self._n_published += 1", "            pass"),
        failed.test_after_a_publish_that_lost_its_number_nothing_is_removed,
    ),
    "a file that failed once is not trusted again": Guard(
        Cut("            self._failed = True", "            pass"),
        files.test_a_file_whose_sync_failed_is_never_synced_again,
    ),
    "what is missing since a gc is no damage": Guard(
        Cut("if isinstance(error, MissingObjectError) and self.epoch < self._roots.newest().floor:", "if False:"),
        races.a_parent_that_is_gone_is_not_found_and_no_damage,
    ),
}
