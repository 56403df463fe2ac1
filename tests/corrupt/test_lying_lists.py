"""Lists that read well and are not true: closures that say other things than their frames, segments that do not fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from ckstore.api import Store
from ckstore.engine import catalog
from ckstore.engine.retain import sound
from ckstore.errors import FormatError, IntegrityError
from ckstore.format import closure, envelope
from ckstore.format.closure import Row
from ckstore.format.names import SEGMENT, object_path
from ckstore.format.records import ObjectRef
from ckstore.format.segment import SegmentFilter
from ckstore.store.objects import Objects
from tests.corrupt.damage import N_STEPS, Small
from tests.corrupt.forge import NAME, Forger, page_refs, signed


@pytest.fixture
def forger(small: Small) -> Iterator[Forger]:
    yield Forger(small)
    small.fs.served.clear()


def closed(forger: Forger, rows: list[Row], **head: Any) -> ObjectRef:
    """A closure of these rows, whose head goes with them but for `head`."""
    (page,) = closure.to_pages(rows)
    whole = {"packs": closure.pack_uses(rows), "n_rows": len(rows), **head}
    return forger.put_closure([msgspec.msgpack.encode(page)], **whole)


def problem(store: Store) -> str | None:
    """What keep() finds wrong with the newest checkpoint."""
    repo = store._session.repo
    return sound.problem(repo, next(catalog.entries(repo, repo.root())))


def test_a_closure_made_again_of_its_rows_is_sound(forger: Forger) -> None:
    with forger.store(closure=closed(forger, forger.rows)) as store:
        assert problem(store) is None


def test_a_frame_with_other_bases_than_its_closure_says_is_refused(forger: Forger) -> None:
    at = next(i for i, row in enumerate(forger.rows) if row.bases)
    rows = [*forger.rows[:at], replace(forger.rows[at], bases=()), *forger.rows[at + 1 :]]
    with forger.store(closure=closed(forger, rows)) as store:
        with pytest.raises(IntegrityError, match="other bases than the closure says") as caught:
            store.load()
        assert caught.value.object == f"pack {rows[at].pack.name}, frame at {rows[at].offset}"
        assert "is not the frame that closure" in str(problem(store))
        assert not store.verify("data").ok  # though the same frame is decoded well for the checkpoint before


def test_a_frame_of_another_chunk_than_its_closure_says_is_no_reason_to_delete_the_one_before(forger: Forger) -> None:
    one, other = [i for i, row in enumerate(forger.rows) if not row.bases][:2]
    rows = list(forger.rows)
    rows[one] = replace(rows[one], offset=rows[other].offset, frame_bytes=rows[other].frame_bytes)
    with forger.store(closure=closed(forger, rows)) as store:
        assert "is not the frame that closure" in str(problem(store))


def test_a_closure_whose_head_lists_other_packs_than_its_rows_is_damaged(forger: Forger) -> None:
    """No more than that list is read by a gc, which would delete a pack that it leaves out."""
    with forger.store(closure=closed(forger, forger.rows, packs=closure.pack_uses(forger.rows[:1]))) as store:
        assert "list of packs is not that of its rows" in str(problem(store))
        assert not store.verify().ok


@pytest.mark.parametrize("patterns", [5, "optimizer.*", ["optimizer.*", 7], {"a": 1}], ids=repr)
def test_a_list_of_dropped_leaves_that_is_none_is_refused(forger: Forger, patterns: Any) -> None:
    with forger.store(extra=envelope.encode_map({"dropped": patterns})) as store:
        with pytest.raises(FormatError, match="dropped from it is malformed"):
            store.checkpoints()
        assert len(store.load()) == 8


def segment_of(small: Small, **changes: Any) -> ObjectRef:
    """The small store's first segment, served with its head changed and all hashes right."""
    head = Objects(small.fs, small.uuid).segment(small.root.segments[0])
    fields = {**msgspec.structs.asdict(head), **changes}
    raw = msgspec.msgpack.encode([fields[name] for name in head.__struct_fields__])
    data, digest = signed(SEGMENT, small.uuid, raw)
    small.fs.served[object_path(SEGMENT, f"{NAME}5")] = data
    return ObjectRef(f"{NAME}5", digest, len(data))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"pack_rows": [1] * 9}, "lists of packs that do not fit together"),
        ({"gone": [99]}, "lists of packs that do not fit together"),
        ({"fences": bytes(31)}, "fences that do not fit the pages"),
    ],
    ids=["rows of packs", "gone packs", "fences"],
)
def test_a_segment_whose_lists_do_not_fit_is_refused_by_name_and_stops_no_save(
    small: Small, forger: Forger, changes: dict[str, Any], why: str
) -> None:
    ref = segment_of(small, **changes)
    with pytest.raises(FormatError, match=why) as caught:
        Objects(small.fs, small.uuid).segment(ref)
    assert caught.value.object == f"segment {ref.name}"
    with forger.store(root=msgspec.structs.replace(small.root, segments=[ref])) as store:
        assert store.stats().damaged_segments == 1
        assert store.load()["step"] == N_STEPS - 1


@pytest.mark.parametrize("n_bytes", [129, 192, 1000])
def test_a_filter_of_a_size_that_no_mask_fits_is_refused(small: Small, forger: Forger, n_bytes: int) -> None:
    (ref,), stored = page_refs([msgspec.msgpack.encode([bytes(n_bytes)])])
    small.fs.served[object_path(SEGMENT, f"{NAME}5")] = signed(SEGMENT, small.uuid, b"", stored)[0]
    with pytest.raises(FormatError, match="impossible size") as caught:
        Objects(small.fs, small.uuid).page(SEGMENT, f"{NAME}5", ref, SegmentFilter)
    assert caught.value.object == f"segment {NAME}5"
