"""Every test of what a repair lists again, where it puts it, and what it then says is lost."""

from __future__ import annotations

from functools import partial

from tests.corrupt import test_commit_order as order
from tests.corrupt import test_relisted as relisted
from tests.corrupt import test_repair_scan as scan
from tests.corrupt.forgetful import forget
from tests.guards.cuts import Cut
from tests.guards.guard import Guard

_DOUBTFUL = "if one.late or (one.entry.manifest.name in shared and not one.remembered)"
_EPOCH = "return noted if isinstance(noted, int) and 0 <= noted < own else own"

LISTED: dict[str, Guard] = {
    "what shares a manifest is younger": Guard(
        Cut("if seen.lost_pages or ref.name not in holders:", "if True:"),
        relisted.test_a_checkpoint_deleted_long_ago_does_not_come_back_past_a_damaged_root,
    ),
    "what a lost page held may be shared": Guard(
        Cut("if seen.lost_pages or ref.name not in holders:", "if ref.name not in holders:"),
        relisted.test_a_checkpoint_of_a_lost_page_comes_back_though_others_share_its_pages,
    ),
    "what may have been deleted hides no loss": Guard(
        Cut(_DOUBTFUL, "if one.late"), relisted.test_what_may_have_been_deleted_hides_no_loss
    ),
    "what may never have been saved hides no loss": Guard(
        Cut(_DOUBTFUL, "if one.entry.manifest.name in shared and not one.remembered"),
        partial(relisted.test_a_save_that_never_finished_makes_up_for_no_lost_entry, whole=True),
    ),
    "a part of a save is no checkpoint": Guard(
        Cut(" and mended.case.entry.id not in late", ""),
        partial(relisted.test_a_save_that_never_finished_makes_up_for_no_lost_entry, whole=False),
    ),
    "notes that nobody tells of are lost": Guard(
        Cut("if entry.id not in remembered]", "if False]"), relisted.test_notes_that_no_root_tells_of_are_a_loss
    ),
    "what only a lost root had comes last": Guard(
        Cut("if gaps and not (one.late and lost_roots)", "if gaps"),
        partial(order.test_lost_pages_are_filled_in_commit_order, history=forget, lost=(0,), newest=True),
    ),
    "two lost pages are told apart by most of what is between them": Guard(
        Cut("if behind and epoch < sorted(behind)[len(behind) // 2]:", "if behind and epoch < behind[0]:"),
        order.test_one_save_that_took_long_does_not_mix_up_two_lost_pages,
    ),
    "the newest root that tells of it gives the place": Guard(
        Cut(
            "self.known.setdefault(key, (entry, (number, i)))",
            "self.known[key] = self.known.get(key, (entry,))[0], (number, i)",
        ),
        order.test_a_page_whose_last_version_is_left_is_filled_in_its_order,
    ),
    "a thinned checkpoint keeps its place": Guard(
        Cut(_EPOCH, "return own"),
        partial(order.test_lost_pages_are_filled_in_commit_order, history=forget, lost=(0,), newest=False),
    ),
    "no epoch is believed that cannot be": Guard(
        Cut(_EPOCH, "return noted if noted is not None else own"),
        partial(order.test_an_epoch_that_cannot_be_is_not_believed, noted=8),
    ),
    "a wrong frame is decoded once": Guard(
        Cut("if (place.pack, place.offset) not in wrong and all(", "if all("),
        scan.test_however_many_frames_are_wrong_each_is_decoded_once,
    ),
}
