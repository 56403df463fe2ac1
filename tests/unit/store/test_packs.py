"""Packs on disk: frames in order, rolled at a size, read back through few open files."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from ckstore.errors import FormatError, IntegrityError, MissingObjectError, StorageError
from ckstore.format.names import PACK, object_path
from ckstore.format.pack import packed
from ckstore.store import packs as packs_module
from ckstore.store.outfile import OutFile
from ckstore.store.packs import MAX_OPEN_FILES, PackReader
from ckstore.store.repository import Repository
from tests.unit.format.stranger import read_pack_table
from tests.unit.store.opened import add_pack, raw_frame, repo, write_pack

__all__ = ["repo"]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files through /proc")


def test_frames_come_back_in_order_and_a_stranger_reads_the_table(repo: Repository) -> None:
    chunks = [b"a" * 100, b"", b"b" * 7]
    rows = add_pack(repo, *chunks)
    (ref,) = {row.pack for row in rows}
    table = repo.packs.table(ref)
    assert [bytes(repo.packs.frame(ref.name, row.offset, row.frame_bytes).payload) for row in table] == chunks
    data = repo.fs.read(object_path(PACK, ref.name))
    assert len(data) == ref.n_bytes
    assert read_pack_table(data, repo.uuid) == [list(row[1:]) for row in table]


def test_a_writer_rolls_to_a_new_pack_at_the_size_limit(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs_module, "PACK_BYTES", 1000)
    rows = add_pack(repo, *(bytes([i]) * 300 for i in range(10)))
    names = {row.pack.name for row in rows}
    assert len(names) == 4
    assert names == set(repo.fs.names("pack"))
    for row in rows:
        assert repo.packs.frame(row.pack.name, row.offset, row.frame_bytes).chunk_id == row.chunk_id


def test_a_writer_without_frames_makes_no_file(repo: Repository) -> None:
    with repo.writer() as writer:
        assert writer.packs().finish() == []
    assert repo.fs.names("pack") == []


@needs_proc
def test_an_aborted_writer_leaves_its_file_to_gc_and_no_descriptor(repo: Repository) -> None:
    before = open_files()
    with repo.writer() as writer:
        writer.packs().append(packed(raw_frame(b"x")))
    assert len(repo.fs.names("pack")) == 1
    assert open_files() == before


def test_a_pack_that_could_not_be_synced_is_no_pack(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: OutFile) -> None:
        raise StorageError("cannot sync", 5)

    with repo.writer() as writer:
        monkeypatch.setattr(OutFile, "sync", failing)
        writer.packs().append(packed(raw_frame(b"x")))
        with pytest.raises(StorageError):
            writer.packs().finish()


@needs_proc
def test_no_more_than_128_packs_are_open_at_a_time(repo: Repository) -> None:
    with repo.writer() as writer:
        names = []
        for i in range(MAX_OPEN_FILES + 40):
            writer._packs = None
            (row,) = write_pack(writer, [bytes([i])])
            names.append(row)
    before = open_files()
    for row in names:
        repo.packs.frame(row.pack.name, row.offset, row.frame_bytes)
    assert open_files() - before == MAX_OPEN_FILES
    for row in names:  # the oldest were closed, and open again
        assert repo.packs.frame(row.pack.name, row.offset, row.frame_bytes).chunk_id == row.chunk_id
    assert open_files() - before == MAX_OPEN_FILES
    repo.packs.close_idle()
    assert open_files() == before


@needs_proc
def test_a_pack_in_use_is_never_closed_under_its_reader(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs_module, "MAX_OPEN_FILES", 2)
    with repo.writer() as writer:
        rows = []
        for i in range(20):
            writer._packs = None
            rows += write_pack(writer, [bytes([i]) * 1000])
    reader = PackReader(repo.fs, repo.uuid)
    before = open_files()

    def read(n: int) -> bool:
        row = rows[n % len(rows)]
        if n % 50 == 0:
            reader.close_idle()
        return reader.frame(row.pack.name, row.offset, row.frame_bytes).chunk_id == row.chunk_id

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(2000)))
    reader.close_idle()
    assert open_files() == before


@needs_proc
def test_a_failed_read_leaves_no_descriptor_in_use(repo: Repository) -> None:
    (row,) = add_pack(repo, b"x" * 100)
    before = open_files()
    for _ in range(3):
        with pytest.raises(FormatError):
            repo.packs.frame(row.pack.name, row.offset, row.frame_bytes - 1)
        with pytest.raises(MissingObjectError):
            repo.packs.frame("1-0000000000000000-1", 56, 100)
    repo.packs.close_idle()
    assert open_files() == before


@pytest.mark.parametrize("name", ["1-0000000000000000-1", "../lease/x", ""])
def test_a_pack_that_is_not_there_is_missing_by_its_name(repo: Repository, name: str) -> None:
    with pytest.raises(MissingObjectError) as caught:
        repo.packs.read(name, 0, 10)
    assert caught.value.object == f"pack {name}"


@pytest.mark.parametrize("n_bytes", [0, 1, 47, 48, 103])
def test_a_reference_to_a_pack_too_short_to_be_one_is_refused(repo: Repository, n_bytes: int) -> None:
    (row,) = add_pack(repo, b"x")
    with pytest.raises(FormatError, match=row.pack.name):
        repo.packs.table(msgspec.structs.replace(row.pack, n_bytes=n_bytes))


@pytest.mark.parametrize("change", [-1, 1, 1000])
def test_a_reference_that_says_another_length_is_refused(repo: Repository, change: int) -> None:
    (row,) = add_pack(repo, b"x")
    with pytest.raises((FormatError, IntegrityError), match=row.pack.name):
        repo.packs.table(msgspec.structs.replace(row.pack, n_bytes=row.pack.n_bytes + change))


def test_a_pack_deleted_while_it_is_open_is_still_read_and_then_missing(repo: Repository) -> None:
    (row,) = add_pack(repo, b"x")
    repo.packs.frame(row.pack.name, row.offset, row.frame_bytes)
    repo.fs.remove(object_path(PACK, row.pack.name))
    assert repo.packs.frame(row.pack.name, row.offset, row.frame_bytes).payload == b"x"
    repo.packs.close_idle()
    with pytest.raises(MissingObjectError):
        repo.packs.frame(row.pack.name, row.offset, row.frame_bytes)


def test_bytes_between_the_last_frame_and_the_table_are_refused(repo: Repository) -> None:
    """FORMAT.md §7.1: the frames lie without gaps, and the last one ends where the table begins."""
    (row,) = add_pack(repo, b"a" * 100)
    file = Path(repo.fs.root, object_path(PACK, row.pack.name))
    data, end = file.read_bytes(), row.offset + row.frame_bytes
    file.write_bytes(data[:end] + b"hidden" + data[end:])
    longer = msgspec.structs.replace(row.pack, n_bytes=row.pack.n_bytes + 6)
    repo.close()
    with pytest.raises(FormatError, match=f"the frames end at {end}"):
        repo.packs.table(longer)
