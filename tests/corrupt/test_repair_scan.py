"""What repair finds by looking at packs alone: frames without a table, closures and segments that are gone."""

from __future__ import annotations

import errno
import random
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import xxhash

import ckstore
from ckstore.engine.health import adopt
from ckstore.engine.health.scan import Place, Scan
from ckstore.errors import StorageError
from ckstore.format import frame
from ckstore.format.pack import packed
from ckstore.store.fs import LocalFs
from ckstore.store.repository import Repository
from tests.corrupt.mended import Contents, check, contents, files, golden, no_syncs, store_at
from tests.support.paths import fast_path
from tests.unit.store.opened import new_repository, raw_frame

__all__ = ["contents", "fast_path", "golden", "no_syncs", "store_at"]


def table_of(path: Path, name: str) -> list[Place]:
    repo = Repository(LocalFs(str(path)))
    size = (path / "pack" / name).stat().st_size
    return [Place(row.chunk_id, name, row.offset, row.frame_bytes, 0, ()) for row in repo.packs.table_of(name, size)]


def found_in(path: Path, name: str) -> set[tuple[bytes, int]]:
    """(chunk, offset) of all frames of a pack that a scan finds."""
    every = {place.chunk_id for pack in files(path, "pack") for place in table_of_or_none(path, pack.name)}
    every |= {place.chunk_id for place in TABLES.get(name, ())}
    places = Scan(Repository(LocalFs(str(path)))).find(every)
    return {(place.chunk_id, place.offset) for place in places if place.pack == name}


TABLES: dict[str, list[Place]] = {}
"""As they were before the damage."""


def table_of_or_none(path: Path, name: str) -> list[Place]:
    try:
        return table_of(path, name)
    except ckstore.CkError:
        return []


def test_without_its_table_every_frame_of_a_pack_is_found(store_at: Path) -> None:
    for pack in files(store_at, "pack"):
        TABLES[pack.name] = table_of(store_at, pack.name)
        pack.write_bytes(pack.read_bytes()[:-50])
        assert found_in(store_at, pack.name) == {(place.chunk_id, place.offset) for place in TABLES[pack.name]}


def test_behind_a_damaged_frame_the_next_one_is_found(store_at: Path) -> None:
    rng = random.Random(5)
    for pack in files(store_at, "pack"):
        TABLES[pack.name] = table = table_of(store_at, pack.name)
        data = bytearray(pack.read_bytes()[:-50])
        for hit in rng.sample(table, len(table) // 3):
            at = hit.offset + rng.choice([0, 5, 9, 13, 30, 50, 57, hit.frame_bytes - 1])
            data[at] ^= 0x80
            table = [place for place in table if place is not hit]
        pack.write_bytes(data)
        assert found_in(store_at, pack.name) == {(place.chunk_id, place.offset) for place in table}


def test_magics_that_begin_no_frame_do_no_harm_and_do_not_take_for_ever(store_at: Path) -> None:
    pack = files(store_at, "pack")[0]
    TABLES[pack.name] = table = table_of(store_at, pack.name)
    fake = struct.pack("<4sBBHII32sQ", frame.MAGIC, 0, 0, 0, 1 << 20, 1 << 20, bytes(32), 0)
    fake += struct.pack("<I", xxhash.xxh3_64_intdigest(fake) & 0xFFFFFFFF)
    pack.write_bytes(pack.read_bytes()[:-50] + fake * 2000 + frame.MAGIC * 20_000)
    assert found_in(store_at, pack.name) == {(place.chunk_id, place.offset) for place in table}


def test_sectors_that_cannot_be_read_are_passed_over(store_at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = files(store_at, "pack")[0]
    TABLES[pack.name] = table = table_of(store_at, pack.name)
    pack.write_bytes(pack.read_bytes()[:-50])
    bad = table[3].offset + 10
    pread = LocalFs.pread

    def refuse(self: LocalFs, fd: int, n_bytes: int, offset: int, path: str) -> bytes:
        if path.endswith(pack.name) and offset < bad + 1 and bad < offset + n_bytes:
            raise StorageError("Input/output error", errno.EIO, path=path)
        return pread(self, fd, n_bytes, offset, path)

    monkeypatch.setattr(LocalFs, "pread", refuse)
    found = found_in(store_at, pack.name)
    behind = {(place.chunk_id, place.offset) for place in table if place.offset > table[3].offset + 2 * 4096}
    before = {(place.chunk_id, place.offset) for place in table[:3]}
    assert behind
    assert found >= behind | before


def test_all_closures_and_segments_may_be_gone(store_at: Path, contents: Contents) -> None:
    shutil.rmtree(store_at / "closure")
    shutil.rmtree(store_at / "segment")
    report = check(store_at, contents)
    assert report.losses == []
    assert report.copied_bytes > 0  # with no list of live packs, no pack is trusted to stay
    with ckstore.open(store_at) as store:
        store.gc(grace_s=0)
        assert store.verify("data").ok


def test_all_tables_may_be_gone_too(store_at: Path, contents: Contents) -> None:
    shutil.rmtree(store_at / "closure")
    for pack in files(store_at, "pack"):
        pack.write_bytes(pack.read_bytes()[:-1])
    assert check(store_at, contents).losses == []
    with ckstore.open(store_at) as store:
        store.gc(grace_s=0)
        assert store.verify("data").ok
        assert len(files(store_at, "pack")) == 1


def test_many_objects_may_be_damaged_at_once(golden: Path, fast_path: Path, contents: Contents) -> None:
    for seed in range(30):
        rng, path = random.Random(seed), fast_path / str(seed)
        shutil.copytree(golden, path)
        for kind in ("catalog", "closure", "segment", "pack", "pack"):
            file = rng.choice(files(path, kind))
            data = bytearray(file.read_bytes())
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            file.write_bytes(data)
        try:
            check(path, contents)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


def place(chunk: bytes, pack: str, *bases: bytes) -> Place:
    return Place(chunk, pack, 0, 1, 1, bases)


def chosen(*places: Place) -> dict[bytes, str]:
    by_chunk: dict[bytes, list[Place]] = {}
    for one in places:
        by_chunk.setdefault(one.chunk_id, []).append(one)
    found = adopt._chosen(by_chunk, lambda one: one.pack, lambda _: True)
    return {chunk: one.pack for chunk, one in found.items()}


def test_copies_that_are_based_on_each_other_are_no_copies() -> None:
    assert chosen(place(b"a", "1", b"b"), place(b"b", "2", b"a")) == {}
    assert chosen(place(b"a", "1", b"b"), place(b"b", "2", b"a"), place(b"a", "3")) == {b"a": "3", b"b": "2"}
    assert chosen(place(b"a", "1", b"a")) == {}


def test_bases_come_before_what_is_based_on_them_and_short_chains_win() -> None:
    found = chosen(place(b"c", "1", b"b"), place(b"b", "1", b"a"), place(b"a", "1"), place(b"c", "2", b"a"))
    assert found == {b"a": "1", b"b": "1", b"c": "2"}
    assert list(found) == [b"a", b"b", b"c"]


def test_chains_that_no_reader_takes_are_not_made() -> None:
    ids = [bytes([i]) for i in range(100)]
    assert len(chosen(place(ids[0], "1"), *(place(ids[i], "1", ids[i - 1]) for i in range(1, 100)))) == 64
    doubling = [place(ids[i], "1", ids[i - 1], ids[i - 1]) for i in range(1, 40)]
    assert len(chosen(place(ids[0], "1"), *doubling)) == 12  # 2^12 - 1 frames of work


def test_however_many_frames_are_wrong_each_is_decoded_once() -> None:
    asked: list[Place] = []

    def is_right(one: Place) -> bool:
        asked.append(one)
        return one.pack == "right"

    ids = [bytes([i]) for i in range(50)]
    every = {chunk: [place(chunk, f"{chunk[0]} {n}") for n in range(20)] + [place(chunk, "right")] for chunk in ids}
    every[b"no"] = [place(b"no", "wrong"), place(b"no", "wrong too", ids[0])]
    every[b"based"] = [place(b"based", "wrong as well", ids[0]), place(b"based", "right", ids[1])]
    found = adopt._chosen(every, lambda one: one.pack == "right", is_right)
    assert (found.keys(), {one.pack for one in found.values()}) == ({*ids, b"based"}, {"right"})
    assert len(asked) == len(set(asked)) == sum(map(len, every.values()))


@pytest.mark.parametrize("how", ["wrong bytes", "no bytes"])
def test_a_frame_that_decodes_to_something_else_or_nothing_is_no_copy(
    how: str, store_at: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checks are right: only decoding it can tell. The other copy is taken, or the chunk is lost."""
    pack = files(store_at, "pack")[0]
    victim = table_of(store_at, pack.name)[0]
    pack.unlink()
    into = adopt.Decoder.into

    def spoilt(self, i, out):
        into(self, i, out)
        if self._rows[i].chunk_id == victim.chunk_id:
            out[0] ^= 1
            if how == "no bytes":
                raise ckstore.FormatError("no such stream", object="frame")

    with monkeypatch.context() as patch:
        patch.setattr(adopt.Decoder, "into", spoilt)
        report = ckstore.repair(store_at, dry_run=False)
    assert report.losses
    with ckstore.open(store_at) as store:
        lost = {loss.id for loss in report.losses}
        assert {ck.id for ck in store.checkpoints()} == set(contents)
        assert all(store.load(id_) is not None for id_ in contents.keys() - lost)
        assert store.repair(dry_run=False).losses == []  # with a sound decoder the other copy is good
        assert store.verify("data").ok
    assert check(store_at, contents).losses == []


def test_a_frame_with_as_many_bases_as_there_can_be_is_found_without_a_table(fast_path: Path) -> None:
    """Its front is longer than what is read of a frame at first."""
    repo, data = new_repository(str(fast_path / "store")), b"a chunk of its own"
    bases = tuple(frame.Base(frame.ROLE_PREVIOUS, bytes([n]) * 32) for n in range(frame.MAX_BASES))
    held = [replace(raw_frame(data), bases=bases), raw_frame(b"behind it")]
    with repo.writer() as writer:
        places = [writer.packs().append(packed(one)) for one in held]
        (ref,) = writer.packs().finish()
        pack = fast_path / "store" / "pack" / ref.name
        pack.write_bytes(pack.read_bytes()[:-50])
        found = list(Scan(repo).find({one.chunk_id for one in held}))
    assert [(place.chunk_id, place.offset) for place in found] == [
        (one.chunk_id, place.offset) for one, place in zip(held, places, strict=True)
    ]
    assert found[0].base_ids == tuple(base.chunk_id for base in bases)
