"""Scenarios of damage for those who write frames or closures again: a repack, a rebase, a repair, a policy."""

from __future__ import annotations

import msgspec
import pytest

from ckstore.codec.chunk import Encoded
from ckstore.engine.gc import members, rebase, recode, repack
from ckstore.engine.health import adopt, intact
from ckstore.engine.retain import sound
from ckstore.format import closure
from ckstore.format.frame import FILL
from ckstore.store.repository import Repository
from tests.corrupt.damage import Small
from tests.corrupt.forge import Forger
from tests.guards.forgeries import row_of_wrong_payload, swapped, wrong_payload


def no_policy_trusts_a_frame_in_the_place_of_another(small: Small) -> None:
    """`keep` protects the newest checkpoint that checks out."""
    _, path, data = swapped(small)
    assert sound.problem(Repository(small.fs), small.entries[-1]) is None
    with small.fs.damaged(path, data):
        assert sound.problem(Repository(small.fs), small.entries[-1])


def no_policy_trusts_a_closure_whose_head_lies(small: Small) -> None:
    """gc would free packs that the rows need."""
    forger = Forger(small)
    uses = closure.pack_uses(forger.rows)[1:]
    lie = msgspec.structs.replace(forger.entry, closure=forger.put_closure([forger.closure_page()], packs=uses))
    try:
        assert sound.problem(Repository(small.fs), lie)
    finally:
        small.fs.served.clear()


def a_partial_load_leaves_out_a_chunk_of_other_bytes(small: Small) -> None:
    """What is missing is named, and never wrong."""
    rows, i = row_of_wrong_payload(small)
    with small.fs.damaged(*wrong_payload(small)), small.opened() as store:
        assert intact._Check(store._session, rows)(i)[1] is not None


def a_repack_copies_no_chunk_of_other_bytes(small: Small) -> None:
    """Its pack stays where it is, and is reported."""
    rows, i = row_of_wrong_payload(small)
    with small.fs.damaged(*wrong_payload(small)):
        assert isinstance(repack.checked(Repository(small.fs), rows, i), str)


def a_rebase_starts_from_no_chunk_of_other_bytes(small: Small) -> None:
    """Else it would get an id that it does not have."""
    rows, i = row_of_wrong_payload(small)
    with small.fs.damaged(*wrong_payload(small)):
        assert isinstance(rebase.encoded_anew(Repository(small.fs), rows, i, "u1", []), str)


def a_rebase_that_does_not_decode_is_not_published(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with every frame."""
    honest = rebase.encode

    def lying(data: memoryview, dtype: str, *_: object) -> object:
        return honest(memoryview(bytes(reversed(bytes(data)))), dtype)

    rows, i = row_of_wrong_payload(small)
    monkeypatch.setattr(rebase, "encode", lying)
    assert isinstance(rebase.encoded_anew(Repository(small.fs), rows, i, "u1", []), str)


def an_archive_starts_from_no_chunk_of_other_bytes(small: Small) -> None:
    """As a rebase."""
    rows, i = row_of_wrong_payload(small)
    with small.fs.damaged(*wrong_payload(small)):
        assert isinstance(recode.encoded_again(Repository(small.fs), rows, i, members.UNKNOWN), str)


def an_archive_that_does_not_decode_is_not_published(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with every frame."""

    def lying(*_: object) -> Encoded:
        return Encoded(FILL, b"x", b"", ())

    rows, i = row_of_wrong_payload(small)
    monkeypatch.setattr(recode, "encode", lying)
    assert isinstance(recode.encoded_again(Repository(small.fs), rows, i, members.UNKNOWN), str)


def repair_adopts_no_chunk_of_other_bytes(small: Small) -> None:
    """Another copy of a chunk is one only if it decodes to it."""
    rows, i = row_of_wrong_payload(small)
    row = rows[i]
    place = adopt.Place(row.chunk_id, row.pack.name, row.offset, row.frame_bytes, row.logical_bytes, ())
    assert adopt._Judge(Repository(small.fs)).is_right(place)
    with small.fs.damaged(*wrong_payload(small)):
        assert not adopt._Judge(Repository(small.fs)).is_right(place)
