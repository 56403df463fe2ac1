"""Every test of bytes that were read, and of bytes that are about to be published."""

from __future__ import annotations

from functools import partial

from tests.corrupt import test_closure_heads as heads
from tests.guards import forgeries, movers
from tests.guards.cuts import Cut
from tests.guards.guard import Guard
from tests.unit.engine import test_predicted as predicting
from tests.unit.engine import test_save_restore as saving
from tests.unit.format import test_envelope as envelopes
from tests.unit.format import test_frame as frames
from tests.unit.format import test_pack as packs
from tests.unit.store import test_read_back as back
from tests.unit.store import test_segments as segments

NEVER = "if False:"
_DIGEST = "if found != tail[header.stored_bytes :] or (digest is not None and found != digest):"
_TABLE = "if found != footer[8:40] or (digest is not None and found != digest):"
_SAME_FRAME = "if frame.parse(data, what).chunk_id != row.chunk_id or row.check not in (None, pack.frame_check(data)):"
_SCANNED = "whole = check == _check(bytes(front[: _FIELDS.size - 4]), bytes(front[_FIELDS.size : n_front]))"
_DECODED = "None if blake3(data).digest() == rows[i].chunk_id else"
_READ_BACK = "same = raw == msgspec.msgpack.encode(msgspec.msgpack.decode(raw, type=as_type))"

INTACT: dict[str, Guard] = {
    "check of a header": Guard(
        Cut("if check != _check(data[:HEADER_BYTES]):", NEVER),
        partial(envelopes.test_every_flipped_bit_is_found, compress=False),
    ),
    "store of an object": Guard(
        Cut("if uuid is not None and owner != uuid:", NEVER), envelopes.test_an_object_of_another_store_is_refused
    ),
    "digest of an object": Guard(
        Cut(_DIGEST, "if digest is not None and found != digest:"),
        partial(envelopes.test_every_flipped_bit_is_found, compress=False),
    ),
    "digest in a reference": Guard(
        Cut(_DIGEST, "if found != tail[header.stored_bytes :]:"),
        envelopes.test_an_object_that_is_whole_but_not_the_one_meant_is_refused,
    ),
    "size in a reference": Guard(
        Cut("if header.end != ref.n_bytes:", NEVER), forgeries.a_reference_that_lies_about_a_size_is_found
    ),
    "digest of a page": Guard(
        Cut("if blake3(stored).digest() != ref.digest:", NEVER), forgeries.a_flip_in_a_page_never_changes_what_is_read
    ),
    "digest of a pack's table": Guard(
        Cut(_TABLE, "if digest is not None and found != digest:"),
        packs.test_every_flipped_bit_of_header_table_and_footer_is_found,
    ),
    "digest of a pack in a reference": Guard(
        Cut(_TABLE, "if found != footer[8:40]:"), packs.test_a_table_of_another_pack_is_found
    ),
    "check of a frame's header": Guard(
        Cut("if check != _check(bytes(data[: size - 4]), tail):", NEVER), frames.test_every_flipped_bit_is_found
    ),
    "check of a frame's header in a scan": Guard(
        Cut(_SCANNED, "whole = True"),
        forgeries.a_scan_believes_no_damaged_front,
    ),
    "check of a payload": Guard(
        Cut("if xxhash.xxh3_64_intdigest(payload) != payload_check:", NEVER),
        frames.test_a_payload_of_another_frame_is_found,
    ),
    "chunk of a frame": Guard(
        Cut("if frame.chunk_id != row.chunk_id or frame.logical_bytes != len(out):", NEVER),
        forgeries.a_frame_in_the_place_of_another_is_found_without_its_id,
    ),
    "bases of a frame": Guard(
        Cut("if [base.chunk_id for base in frame.bases] != [self._rows[base].chunk_id for base in row.bases]:", NEVER),
        forgeries.a_row_with_other_bases_is_found_without_its_id,
    ),
    "id of a chunk at load": Guard(
        Cut("if verify and target.row not in checked and blake3(data).digest() != row.chunk_id:", NEVER),
        forgeries.a_chunk_of_other_bytes_is_found_by_its_id,
    ),
    "length of a chunk at load": Guard(
        Cut("if row.logical_bytes != target.stop - target.start:", NEVER),
        forgeries.a_chunk_of_another_length_than_its_tensor_wants_is_found,
    ),
    "frames in verify": Guard(Cut(_SAME_FRAME, NEVER), forgeries.verify_finds_a_frame_in_the_place_of_another),
    "frames before a policy": Guard(
        Cut("if (frame.chunk_id, frame.logical_bytes, [base.chunk_id for base in frame.bases]) != said:", NEVER),
        movers.no_policy_trusts_a_frame_in_the_place_of_another,
    ),
    "packs of a closure before a policy": Guard(
        Cut("if repo.objects.closure(entry.closure).packs != pack_uses(rows):", NEVER),
        movers.no_policy_trusts_a_closure_whose_head_lies,
    ),
    "packs of a closure in verify": Guard(
        Cut("if sorted(map(astuple, head.packs)) != sorted(map(astuple, closure.pack_uses(rows))):", NEVER),
        partial(heads.test_a_list_of_packs_that_does_not_fit_the_rows_is_damage, how="one left out"),
    ),
    "holders of a closure in verify": Guard(
        Cut("if sorted(head.holders) != sorted(holders):", NEVER),
        partial(heads.test_a_list_of_holders_that_does_not_fit_the_pages_is_damage, how="a manifest too many"),
    ),
    "rows of a closure in verify": Guard(
        Cut("if head.n_rows != len(rows):", NEVER),
        partial(heads.test_a_count_of_rows_that_is_wrong_is_damage, n_rows=0),
    ),
    "filter of a segment": Guard(
        Cut("if filtered and not all(", "if False and not all("),
        segments.test_a_filter_that_denies_what_is_there_is_damage,
    ),
    "id of a chunk in verify": Guard(
        Cut(_DECODED, "None if True else"),
        forgeries.verify_finds_a_chunk_of_other_bytes,
    ),
    "id of a chunk in a partial load": Guard(
        Cut("same = blake3(data).digest() == self._rows[i].chunk_id", "same = True"),
        movers.a_partial_load_leaves_out_a_chunk_of_other_bytes,
    ),
    "id of a chunk in repair": Guard(
        Cut("if blake3(data).digest() != place.chunk_id:", NEVER), movers.repair_adopts_no_chunk_of_other_bytes
    ),
    "id of a chunk in repack": Guard(
        Cut("if blake3(data).digest() != rows[i].chunk_id:", NEVER), movers.a_repack_copies_no_chunk_of_other_bytes
    ),
    "id of a chunk in rebase": Guard(
        Cut("if blake3(data).digest() != chunk_id:", NEVER), movers.a_rebase_starts_from_no_chunk_of_other_bytes
    ),
    "decode before publish in rebase": Guard(
        Cut("if not kernels.equal(scratch.as_bytes(memoryview(back)), scratch.as_bytes(memoryview(data))):", NEVER),
        movers.a_rebase_that_does_not_decode_is_not_published,
    ),
    "id of a chunk in archive": Guard(
        Cut("if blake3(data).digest() != old.chunk_id:", NEVER), movers.an_archive_starts_from_no_chunk_of_other_bytes
    ),
    "decode before publish in archive": Guard(
        Cut("if not kernels.equal(back, scratch.as_bytes(data)):", NEVER),
        movers.an_archive_that_does_not_decode_is_not_published,
    ),
    "hash of a base before a delta of it": Guard(
        Cut("return data if self.is_same(known, data) else None", "return data"),
        forgeries.a_parent_that_decodes_to_other_bytes_is_no_base,
    ),
    "hash of a companion that did not change": Guard(
        Cut("if is_compared or (self.known is not None and self._before.is_same(self.known, data)):", "if True:"),
        predicting.test_a_moment_that_changes_while_it_is_saved_predicts_nothing,
    ),
    "decode before publish": Guard(
        Cut("if not kernels.equal(back, data):", NEVER),
        saving.test_a_frame_that_does_not_decode_to_its_chunk_is_not_published,
    ),
    "read-back of records": Guard(
        Cut(_READ_BACK, "same = True"),
        partial(back.test_a_map_that_does_not_read_back_is_not_stored, value=back.BAD_MAPS[1]),
    ),
    "read-back of roots": Guard(
        Cut("root, digest = self._decoded(data, root.number)", "digest = data[-32:]"),
        back.test_a_root_that_this_build_could_not_open_is_not_published,
    ),
}
