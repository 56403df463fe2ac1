"""Heads of segments with long lists, and what lookups of several threads share."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from blake3 import blake3

from ckstore.engine.gc.unlist import unlist
from ckstore.format import segment
from ckstore.format.segment import Segment
from ckstore.store.merging import Merge
from ckstore.store.repository import Repository
from tests.unit.store.opened import add_pack, repo, step

__all__ = ["repo"]


class Long(list[int]):
    """A list that is too long to be searched for each pack anew."""

    def __contains__(self, item: object) -> bool:
        raise AssertionError("searched from end to end")


@pytest.fixture
def one_of_three(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> str:
    """The pack that is left in a segment of three."""
    packs = [add_pack(repo, bytes([i]) * 40)[0].pack.name for i in range(3)]
    with repo.writer() as writer:
        merge = Merge(repo.objects, repo.root().segments)
        made = writer.put_pages(merge.packs, merge.pages(), merge.most_rows, 1)
        assert made is not None
        writer.commit(lambda root: msgspec.structs.replace(root, segments=[made]), {})
    order = [pack.name for pack in repo.objects.segment(made).packs]
    read = repo.objects.segment

    def with_gone(ref: Any) -> Segment:
        return msgspec.structs.replace(read(ref), gone=Long([order.index(packs[0]), order.index(packs[2])]))

    monkeypatch.setattr(repo.objects, "segment", with_gone)
    return packs[1]


def test_positions_of_packs_that_are_gone_are_no_list_to_search(repo: Repository, one_of_three: str) -> None:
    root = repo.root()
    assert repo.segments.live_packs(root) == {one_of_three}
    assert [pack.name for pack in Merge(repo.objects, root.segments).packs] == [one_of_three]
    with repo.writer() as writer:
        assert unlist(repo, writer, root, {"another"}, {}) == (root.segments, 0)
        assert unlist(repo, writer, root, {"another"}, None) == (root.segments, 0)
        assert unlist(repo, writer, root, {one_of_three}, {}).segments == []
        assert unlist(repo, writer, root, {one_of_three}, None) == ([], 1)


def test_what_a_writer_put_in_place_of_a_segment_serves_again(repo: Repository) -> None:
    rows = add_pack(repo, *(bytes([i]) * 40 for i in range(6)))
    dead = add_pack(repo, b"dead" * 10)[0].pack.name
    with repo.writer() as writer:
        merge, written = Merge(repo.objects, repo.root().segments), {}
        made = writer.put_pages(merge.packs, merge.pages(), merge.most_rows, 1)
        assert made is not None
        root = msgspec.structs.replace(repo.root(), segments=[made])
        first = unlist(repo, writer, root, {dead}, written)
        assert unlist(repo, writer, root, {dead, "another"}, written) == first
        assert unlist(repo, writer, root, {rows[0].pack.name}, written) != first
        assert len(written) == 2


def test_lookups_share_their_filters_under_a_lock(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one thread counts the bytes that are held while another adds to them."""
    lock = repo.segments._lock

    class Locked(dict[bytes, bytes]):
        def get(self, *args: Any) -> Any:
            assert lock._is_owned()
            return super().get(*args)

        def values(self) -> Any:
            assert lock._is_owned()
            return super().values()

        def items(self) -> Any:
            assert lock._is_owned()
            return super().items()

        def __setitem__(self, *args: Any) -> None:
            assert lock._is_owned()
            super().__setitem__(*args)

    monkeypatch.setattr(segment, "ROWS_PER_PAGE", 2)
    add_pack(repo, *(bytes([i]) * 40 for i in range(6)))
    repo.segments._filters = Locked()
    assert len(list(repo.segments.find(repo.root(), blake3(bytes(40)).digest()))) == 1
    assert len(repo.segments._filters) == 1
    repo.segments.live_packs(repo.root())
    assert len(repo.segments._filters) == 1
    step(repo, segments=[])
    repo.segments._filters = Locked(repo.segments._filters)
    assert repo.segments.live_packs(repo.root()) == set()
    assert repo.segments._filters == {}
