"""24 times that a store elsewhere lost data, and for each the test that shows why ckstore does not.

`pytest -m incident` runs them. A test that shows it already is only named here; what had none is in this folder.
"""

from __future__ import annotations

from typing import NamedTuple


class Incident(NamedTuple):
    """What happened, in which project, and what ckstore does instead."""

    where: str
    lost: str
    instead: str
    test: str
    """FILE::FUNCTION below tests/."""


INCIDENTS: dict[str, Incident] = {
    "B1": Incident(
        "borg 9748, 9908, 8791",
        "compact died between deleting objects and rewriting the index; later backups skipped them: zeros at restore",
        "a segment stops naming a pack one root step before the pack goes; a chunk is known only by the root it is in",
        "regression/test_trusted_lists.py::test_b1_a_save_after_a_gc_that_died_deleting_stores_its_chunks_again",
    ),
    "B2": Incident(
        "xet-core, simulation-client-gc-fixes.md",
        "a client's old deduplication table pointed into a deleted shard: data that was never uploaded",
        "what a store object has cached counts only as far as the newest root lists it",
        "regression/test_trusted_lists.py::test_b2_a_store_that_was_open_all_along_finds_nothing_that_a_gc_freed",
    ),
    "B3": Incident(
        "restic 3569, 4374; kopia 1949",
        "a suspended client woke after its lock had expired and went on with packs that prune had deleted",
        "a commit below the floor is WriterExpired; save begins again by itself, and no checkpoint dangles",
        "concurrency/test_stopped.py::test_a_saver_that_slept_too_long_saves_again",
    ),
    "B4": Incident(
        "restic 3182; borg 7497",
        "unlock (break-lock) while prune was at work let two writers destroy each other's packs",
        "leases only decide who waits: with all of them removed, root steps alone keep savers and collectors apart",
        "regression/test_no_locks.py::test_b4_leases_removed_under_a_saver_and_a_gc_cost_nothing",
    ),
    "B5": Incident(
        "ostree 2337, 2808",
        "prune worked out what was reachable before it took the lock: objects of refs published meanwhile went",
        "gc chooses again for every root that its step might extend",
        "concurrency/test_gcs.py::test_a_gc_that_lost_its_number_to_a_save_chooses_again",
    ),
    "B6": Incident(
        "iceberg 4194; gitaly, merge request 4416",
        "files older than the grace were orphans to the cleaner, also those of a job that took longer than the grace",
        "no file is judged by its age: an object belongs to a living writer, to a root, or to nobody",
        "regression/test_no_locks.py::test_b6_what_a_saver_wrote_years_ago_stays_while_it_lives",
    ),
    "B7": Incident(
        "slatedb 1622, 352; lance 3718; delta 1410",
        "a stalled writer made a numbered file that had been deleted, and believed that it had committed",
        "the newest root says up to which number roots are gone: such a commit is seen to be lost and made again",
        "concurrency/test_commits.py::test_a_saver_that_slept_while_its_number_was_used_and_forgotten_commits_again",
    ),
    "B8": Incident(
        "lance 8123; icechunk 2099",
        "a commit landed, its answer was lost, the retry was refused, and the cleanup deleted the live data",
        "a refused number is read back: with the writer's own write id in it, the commit was made",
        "concurrency/test_commits.py::test_an_answer_that_says_taken_although_the_link_was_made_is_not_a_loss",
    ),
    "B9": Incident(
        "ClickHouse 114194",
        "a collector started from a hint file that was out of date and deleted what had been acknowledged since",
        "there is no hint: commits and collections list the roots, whatever a store object remembers",
        "regression/test_trusted_lists.py::test_b9_a_gc_of_a_store_that_has_seen_no_news_frees_none_of_it",
    ),
    "B10": Incident(
        "slatedb, RFC 0029",
        "an uploaded file looked older than the newest published one, and was collected before it was published",
        "who waits to commit keeps what it wrote, however many others commit and collect meanwhile",
        "regression/test_no_locks.py::test_b10_what_is_written_and_not_yet_published_outlives_newer_commits",
    ),
    "B11": Incident(
        "restic 4523, 4677; zstd 3350; numcodecs 429",
        "the compressor wrote wrong bytes, which nobody saw before the restore",
        "every frame is decoded and compared with its chunk before anything is published",
        "unit/engine/test_save_restore.py::test_a_frame_that_does_not_decode_to_its_chunk_is_not_published",
    ),
    "B12": Incident(
        "rustic 88",
        "a repack damaged compressed blobs on their way to the new pack, and the old pack went",
        "a repack decodes what it moves and compares its id; what does not fit stays where it is, and is reported",
        "unit/engine/test_repack.py::test_a_frame_with_good_checks_that_holds_another_chunk_is_not_moved",
    ),
    "B13": Incident(
        "rocksdb 6316; borg 9849, 9853",
        "a full disk was taken for a read problem, and a half-written state was committed",
        "a writer whose write or sync failed publishes nothing, and leaves nothing that a full disk has no room for",
        "faults/test_full_disk.py::test_what_found_no_space_leaves_nothing_behind",
    ),
    "B14": Incident(
        "rocksdb 4990, 5379",
        "fsync failed, the files were deleted, but the entry that named them was durable after all",
        "a failed sync is never tried again on that file; whether the commit was made is 'unknown', and nothing goes",
        "faults/test_outcomes.py::test_a_commit_that_may_have_been_made_is_reported_as_such_and_nothing_is_cleaned_up",
    ),
    "B15": Incident(
        "rocksdb 5287, 10573, 14780; libgit2 4030",
        "files were synced and their directory was not: after a power loss the newest state named files that were gone",
        "every directory that a writer touched is synced before its root gets its name",
        "unit/store/test_writer.py::test_a_commit_syncs_every_directory_it_wrote_to_before_its_root",
    ),
    "B16": Incident(
        "borg 1195; kopia 4835; leveldb 333",
        "power loss left an index of length zero or cut short, which was read as an empty one",
        "every object has a magic, lengths and a digest that its referrer knows: an empty file is damage",
        "corrupt/test_metadata.py::test_an_empty_or_missing_object_is_found",
    ),
    "B17": Incident(
        "borg 4829, 4968",
        "resizing the hash table of the index lost entries, for years",
        "the index is sorted immutable segments; what a merge by ranges gives is compared with sorting all rows",
        "unit/store/test_segments.py::test_a_merge_by_ranges_is_what_sorting_all_rows_gives",
    ),
    "B18": Incident(
        "borg 6768",
        "config was saved by hard link and overwriting: both names showed the damaged file",
        "a file appears whole under a new name, and creating it never replaces another",
        "unit/store/test_fs.py::test_publish_never_replaces_and_leaves_no_temporary",
    ),
    "B19": Incident(
        "borg 4923",
        "two processes that both removed a stale lock both held the lock",
        "nobody needs a lock to be alone: of two commits of one number one wins, and the other goes on from there",
        "regression/test_no_locks.py::test_b19_two_collectors_and_a_saver_that_all_think_they_are_alone",
    ),
    "B20": Incident(
        "orbax 2837; ostree 1343",
        "another process cleaned up the temporary directory under a writer that was at work",
        "temporaries carry their writer's name and go only when it is dead; if all go, the save begins again",
        "concurrency/test_savers.py::test_a_saver_taken_for_dead_whose_root_is_gone_before_its_link_begins_again",
    ),
    "B21": Incident(
        "borg 6140",
        "the kernel gives a wrong count for reads and writes of 2 GiB and more",
        "no system call moves more than 256 MiB, and every short count is gone on from",
        "unit/store/test_fs.py::test_no_system_call_moves_more_than_the_limit",
    ),
    "B22": Incident(
        "SQLite 3.7.0 to 3.51.2, the WAL-reset race",
        "even there, a rare race over shared mutable state could damage the database",
        "there is no shared mutable state: through all verbs no file changes once it has its name",
        "regression/test_no_mutable_file.py::test_b22_no_verb_changes_a_file_that_is_there",
    ),
    "B23": Incident(
        "kopia 3742",
        "the command that rebuilds the index made the damage worse",
        "repair is a dry run unless told; it writes new objects and changes or deletes none that is there",
        "corrupt/test_repair.py::test_every_object_of_a_kind_may_be_damaged",
    ),
    "B24": Incident(
        "borg 9868",
        "two savers stored the same chunk twice, and compact gave up on an index that did not tile the pack",
        "a chunk may be stored twice; gc counts bytes of packs, and both copies stay until nobody names them",
        "concurrency/test_savers.py::test_two_savers_of_the_same_chunks_leave_both_packs_named_after_segments_merge",
    ),
}  # fmt: skip
