"""Every sync: what it makes certain before what, and the crash that shows it."""

from __future__ import annotations

from functools import partial

from tests.concurrency import test_gcs as gcs
from tests.concurrency import test_guards as behind
from tests.crash import test_images as images
from tests.guards.crashes import (
    a_store_that_a_copy_has_emptied_is_made_whole,
    an_exported_file_is_certain_when_it_is_there,
    crash_in,
)
from tests.guards.cuts import Cut
from tests.guards.guard import Guard

SAVE, MERGE, INIT = crash_in("first save"), crash_in("delta saves that merge"), crash_in("init")
INIT_IN = crash_in("init in a directory made before")
_FSYNC_FILE = "        else:\n            os.fsync(fd)"
_FSYNC_DIR = "            try:\n                os.fsync(fd)"
_EXPORTED = an_exported_file_is_certain_when_it_is_there


def _without(call: str, text: str | None = None) -> Cut:
    """`text`, or the call alone, with nothing in the place of the call."""
    return Cut(text or call, (text or call).replace(call, "pass"))


def _bytes_of(directory: str) -> Cut:
    call = "self._fs.sync_file(self._fd, self.path)"
    return Cut(call, f'self.path.startswith("{directory}/") or {call}')


def _names_in(directory: str) -> Cut:
    call = "self._fs.sync_dir(DIRECTORY[kind])"
    return Cut(call, f'DIRECTORY[kind] == "{directory}" or {call}')


DURABLE: dict[str, Guard] = {
    "the bytes of packs": Guard(_bytes_of("pack"), SAVE),
    "the bytes of manifests": Guard(_bytes_of("manifest"), SAVE),
    "the bytes of closures": Guard(_bytes_of("closure"), SAVE),
    "the bytes of segments": Guard(_bytes_of("segment"), SAVE),
    "the bytes of pages of the catalog": Guard(_bytes_of("catalog"), MERGE),
    "the bytes of roots": Guard(_bytes_of("tmp"), SAVE),
    "a file is synced when it is closed": Guard(_without("self.sync()", "                self.sync()"), SAVE),
    "a sync of a file reaches the disk": Guard(_without("os.fsync(fd)", _FSYNC_FILE), SAVE),
    "a sync of a directory reaches the disk": Guard(_without("os.fsync(fd)", _FSYNC_DIR), SAVE),
    "the names of packs": Guard(_names_in("pack"), SAVE),
    "the names of manifests": Guard(_names_in("manifest"), SAVE),
    "the names of closures": Guard(_names_in("closure"), SAVE),
    "the names of segments": Guard(_names_in("segment"), SAVE),
    "the names of pages of the catalog": Guard(_names_in("catalog"), MERGE),
    "the name of a root": Guard(Cut("self._fs.sync_dir(DIRECTORY[ROOT])  # DURABLE AFTER THIS LINE", "pass"), SAVE),
    "the directories of a new store": Guard(Cut('fs.sync_dir("")\n    fs.sync_dir("..")', 'fs.sync_dir("..")'), INIT),
    "the name of a new store": Guard(_without('fs.sync_dir("..")'), INIT_IN),
    "the parents of a new store": Guard(Cut("self.sync_dir(os.path.dirname(directory))"), INIT),
    "directories that a copy has lost": Guard(
        _without('self.fs.sync_dir("")'), a_store_that_a_copy_has_emptied_is_made_whole
    ),
    "a gc deletes after the root that says so is certain": Guard(
        Cut("repo.fs.sync_dir(DIRECTORY[ROOT])  # the root that says so must outlive a crash before anything goes"),
        gcs.test_no_file_goes_before_the_root_that_says_so_is_durable,
    ),
    "a gc clears after what it deleted is gone for certain": Guard(
        Cut("repo.fs.sync_dir(DIRECTORY.get(kind, TEMPORARIES))"),
        partial(images.test_what_a_gc_has_freed_stays_freed_after_a_crash, name="gc"),
    ),
    "old roots go after the root that says so is certain": Guard(
        Cut("repo.fs.sync_dir(DIRECTORY[ROOT])  # as above: another process may have published the root that says so"),
        behind.test_old_roots_go_only_after_the_root_that_says_so_is_durable,
    ),
    "the bytes of an exported file": Guard(_without("_sync(temporary)"), _EXPORTED),
    "the name of an exported file": Guard(_without("_sync(file.parent)"), _EXPORTED),
    "a sync of an exported file reaches the disk": Guard(_without("os.fsync(handle)"), _EXPORTED),
}
