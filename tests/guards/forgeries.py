"""Scenarios of damage that only one check can see: all that stands before it is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
import pytest

from ckstore.engine import before
from ckstore.engine.decode import Decoder
from ckstore.engine.parent import load_closure
from ckstore.errors import CkError, CorruptError
from ckstore.format import closure
from ckstore.format.closure import Row
from ckstore.format.frame import Frame, pack_front, parse, stated_bytes
from ckstore.format.names import PACK, object_path
from ckstore.format.records import TensorRow
from ckstore.store.repository import Repository
from tests.corrupt.damage import N_STEPS, Small, flipped
from tests.corrupt.forge import Forger
from tests.support.states import assert_same
from tests.support.stores import Open

NEWEST = f"main@{N_STEPS - 1}"


def a_flip_in_a_page_never_changes_what_is_read(small: Small) -> None:
    """Whatever page of a manifest it hits."""
    target = next(target for target in small.targets() if target.path.startswith("manifest/"))
    whole = target.read(small.fs)
    for bit in range(8 * 56, 8 * len(target.data), 3):
        with small.fs.damaged(target.path, flipped(target.data, bit)):
            try:
                found = target.read(small.fs)
            except CkError:
                continue
        assert found == whole, bit


def a_reference_that_lies_about_a_size_is_found(small: Small) -> None:
    """gc adds these sizes up."""
    forger = Forger(small)
    lie = msgspec.structs.replace(forger.entry.manifest, n_bytes=forger.entry.manifest.n_bytes + 1)
    with forger.store(manifest=lie) as store, pytest.raises(CorruptError, match="reference"):
        store.load()


def _replaced(small: Small, row: Row, stored: bytes) -> tuple[str, bytes]:
    """The pack of a row with other bytes in the row's place."""
    path = object_path(PACK, row.pack.name)
    data = small.fs.read(path)
    return path, data[: row.offset] + stored + data[row.offset + row.frame_bytes :]


def raw_rows(small: Small) -> Iterator[tuple[int, Row, Frame]]:
    """Frames of the newest checkpoint whose payload is the chunk itself."""
    repo = Repository(small.fs)
    for i, row in enumerate(load_closure(repo, small.entries[-1])[0]):
        frame = repo.packs.frame(row.pack.name, row.offset, row.frame_bytes)
        if not frame.codec and frame.logical_bytes > 500:
            yield i, row, frame


def wrong_payload(small: Small) -> tuple[str, bytes]:
    """A pack with a frame that says it is its chunk, all checks right, and holds another."""
    _, row, frame = next(raw_rows(small))
    payload = bytes(reversed(bytes(frame.payload)))
    forged = Frame(frame.codec, frame.chunk_id, frame.logical_bytes, frame.bases, frame.params, payload)
    return _replaced(small, row, pack_front(forged) + payload)


def a_chunk_of_other_bytes_is_found_by_its_id(small: Small) -> None:
    """What a broken codec or a bad memory could have written."""
    with (
        small.fs.damaged(*wrong_payload(small)),
        small.opened() as store,
        pytest.raises(CorruptError, match="BLAKE3 id"),
    ):
        store.load(NEWEST)


def swapped(small: Small) -> tuple[int, str, bytes]:
    """A row, and its pack with another frame of the same size in its place."""
    found = list(raw_rows(small))
    for i, row, frame in found:
        for _, other, donor in found:
            if other.frame_bytes == row.frame_bytes and donor.chunk_id != frame.chunk_id:
                return i, *_replaced(small, row, pack_front(donor) + bytes(donor.payload))
    raise AssertionError("no two frames of one size")


def a_frame_in_the_place_of_another_is_found_without_its_id(small: Small) -> None:
    """load(verify=False) leaves the ids alone, and must give no wrong bytes for that."""
    i, path, data = swapped(small)
    repo = Repository(small.fs)
    rows, _ = load_closure(repo, small.entries[-1])
    with small.fs.damaged(path, data), pytest.raises(CorruptError, match="another chunk"):
        Decoder(repo, rows).chunk(i)


def verify_finds_a_frame_in_the_place_of_another(small: Small) -> None:
    """Its own checks are right."""
    _, path, data = swapped(small)
    with small.fs.damaged(path, data), small.opened() as store:
        assert not store.verify(level="stored").ok


def a_row_with_other_bases_is_found_without_its_id(small: Small) -> None:
    """A delta on a wrong base decodes to something."""
    repo = Repository(small.fs)
    rows, _ = load_closure(repo, small.entries[-1])
    i, row = next((i, row) for i, row in enumerate(rows) if len(row.bases) == 1 and i > 1)
    other = next(n for n in range(i) if n != row.bases[0] and rows[n].logical_bytes == rows[row.bases[0]].logical_bytes)
    rows[i] = Row(row.chunk_id, row.pack, row.offset, row.frame_bytes, row.logical_bytes, (other,))
    with pytest.raises(CorruptError, match="other bases"):
        Decoder(repo, rows).chunk(i)


def a_chunk_of_another_length_than_its_tensor_wants_is_found(small: Small) -> None:
    """Loaded into every second byte of an array, it is decoded elsewhere first, and nobody else asks for its length."""
    forger = Forger(small)
    for n, (row, columns) in enumerate(forger.table):
        if isinstance(row, TensorRow) and row.path[-1] == "noise":
            shape = [row.shape[0] - 4]
            shards = [msgspec.structs.replace(row.shards[0], lengths=shape)]
            forger.table[n] = (msgspec.structs.replace(row, shape=shape, shards=shards), columns)
    with forger.store(manifest=forger.put_manifest([forger.manifest_page()])) as store:
        into = {**store.load("main@0"), "noise": np.zeros((4996, 2), "u1")[:, 0]}
        try:
            store.load(into=into, select=["noise"])
        except CorruptError:
            return
        except ValueError as error:
            pytest.fail(f"an error that is none of ckstore: {error}")
    pytest.fail("it was loaded")


def verify_finds_a_chunk_of_other_bytes(small: Small) -> None:
    """As a broken codec could have written it: table and reference are those of the wrong frame."""
    forger = Forger(small)
    _, wrong, _ = next(raw_rows(small))
    frames = []
    for row in forger.rows:
        item = parse(memoryview(small.fs.read(object_path(PACK, row.pack.name), row.offset, row.frame_bytes)), "it")
        payload = bytes(reversed(bytes(item.payload))) if row == wrong else bytes(item.payload)
        frames.append(Frame(item.codec, item.chunk_id, item.logical_bytes, item.bases, item.params, payload))
    ref, places = forger.put_pack(frames)
    moved = [
        Row(row.chunk_id, ref, *place, row.logical_bytes, row.bases)
        for row, place in zip(forger.rows, places, strict=True)
    ]
    (page,) = closure.to_pages(moved)
    closed = forger.put_closure([msgspec.msgpack.encode(page)], packs=closure.pack_uses(moved))
    with forger.store(closure=closed) as store:
        assert store.verify(level="stored").ok
        assert not store.verify(level="data").ok


def a_scan_believes_no_damaged_front(small: Small) -> None:
    """It would look for the next frame behind a wrong length."""
    _, _, frame = next(raw_rows(small))
    front = pack_front(frame)
    assert stated_bytes(memoryview(front)) == frame.frame_bytes
    for bit in range(8 * len(front)):
        assert stated_bytes(memoryview(flipped(front, bit))) is None


def a_parent_that_decodes_to_other_bytes_is_no_base(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The delta would give back what was saved only as long as the parent stays wrong."""
    state = {"weight": np.arange(3000, dtype="f4")}
    open_store().save(state, step=0)

    class Wrong(Decoder):
        def fill(self, targets: Mapping[int, memoryview]) -> None:
            super().fill(targets)
            for out in targets.values():
                out[0] ^= 1

    changed = {"weight": state["weight"] * np.float32(1.0001)}
    with monkeypatch.context() as patch:
        patch.setattr(before, "Decoder", Wrong)
        open_store().save(changed, step=1)
    assert_same(open_store().load("main@1"), changed)


def row_of_wrong_payload(small: Small) -> tuple[list[Row], int]:
    repo = Repository(small.fs)
    return load_closure(repo, small.entries[-1])[0], next(raw_rows(small))[0]
