"""A file that is written in blocks, past the page cache or not: whatever the file system takes, the bytes are these."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckstore.errors import StorageError
from ckstore.store import blocks
from ckstore.store import fs as fs_module
from ckstore.store.blocks import ALIGNMENT, BlockFile, BlockWriter
from ckstore.store.fs import LocalFs

pytestmark = pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="this system has no such writes")
PARTS = [bytes([i]) * n for i, n in enumerate((5, 3 * ALIGNMENT, 1, 0, ALIGNMENT - 6, 7 * ALIGNMENT + 9, ALIGNMENT))]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 2 * ALIGNMENT)


@pytest.fixture
def fs(tmp_path: Path) -> LocalFs:
    return LocalFs(str(tmp_path))


@pytest.fixture
def writer() -> Iterator[BlockWriter]:
    made = BlockWriter()
    yield made
    made.close()


def put(fs: LocalFs, writer: BlockWriter, parts: list[bytes], path: str = "a") -> None:
    out = BlockFile(fs.create(path), writer)
    n_bytes = 0
    for part in parts:
        out.write([part])
        n_bytes += len(part)
        assert out.n_bytes == n_bytes
    with out.settle() as rest:
        assert rest.n_bytes == n_bytes
        rest.write([b"end"])
    assert fs.read(path) == b"".join(parts) + b"end"


@given(sizes=st.lists(st.integers(0, 5 * ALIGNMENT), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_parts_come_one_behind_the_other(fs: LocalFs, writer: BlockWriter, sizes: list[int]) -> None:
    put(fs, writer, [os.urandom(n) for n in sizes])
    fs.remove("a")


def test_files_follow_each_other(fs: LocalFs, writer: BlockWriter) -> None:
    for name in "abc":
        put(fs, writer, PARTS, name)


class Watched(LocalFs):
    """Notes of each write whether it passes the page cache, and lets a test answer for the system."""

    def __init__(self, root: str, answer: Callable[[Any, bool], int | None] = lambda *_: None) -> None:
        super().__init__(root)
        self.direct: list[bool] = []
        self._answer = answer

    def write_some(self, fd: int, buffers: Any, path: str) -> int:
        self.direct.append(bool(fs_module.fcntl.fcntl(fd, fs_module.fcntl.F_GETFL) & os.O_DIRECT))
        taken = self._answer(buffers, self.direct[-1])
        if taken is None:
            return super().write_some(fd, buffers, path)
        self.set_direct(fd, False)  # or this could not be written
        return os.write(fd, bytes(buffers[0])[:taken])


def test_whole_blocks_pass_the_page_cache_where_they_can_and_the_rest_does_not(tmp_path: Path) -> None:
    """Where the temporary folder is on a file system that cannot (tmpfs before Linux 6.6), nothing does."""
    fs, writer = Watched(str(tmp_path)), BlockWriter()
    probe = fs.create("probe")
    can = fs.set_direct(probe._fd, True)
    probe.close()
    put(fs, writer, PARTS)
    n_blocks = sum(map(len, PARTS)) // (2 * ALIGNMENT)
    assert fs.direct == [can] * n_blocks + [False] * 2
    writer.close()


def test_a_small_file_is_one_write(tmp_path: Path) -> None:
    fs, writer = Watched(str(tmp_path)), BlockWriter()
    out = BlockFile(fs.create("a"), writer)
    for _ in range(100):
        out.write([b"x", b"yz"])
    out.settle().close()
    assert (fs.direct, fs.read("a")) == ([False], b"xyz" * 100)


def test_a_file_system_that_refuses_says_so_when_it_is_asked(fs: LocalFs, writer: BlockWriter, monkeypatch) -> None:
    def refuse(fd: int, command: int, flags: int = 0) -> int:
        if command == fs_module.fcntl.F_SETFL and flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "no")
        return honest(fd, command, flags)

    honest = fs_module.fcntl.fcntl
    monkeypatch.setattr(fs_module.fcntl, "fcntl", refuse)
    put(fs, writer, PARTS)


@pytest.mark.parametrize("when", [0, 1, 2])
def test_a_file_system_that_refuses_says_so_when_it_is_written_to(tmp_path: Path, when: int) -> None:
    def refuse(buffers: Any, direct: bool) -> None:
        if direct and fs.direct.count(True) > when:
            raise OSError(errno.EINVAL, "no")

    fs, writer = Watched(str(tmp_path), refuse), BlockWriter()
    put(fs, writer, PARTS)
    assert fs.direct.count(True) <= when + 1  # once refused, not tried again
    writer.close()


@pytest.mark.parametrize("taken", [1, 511, ALIGNMENT])
def test_what_is_left_of_a_block_goes_through_the_page_cache(tmp_path: Path, taken: int) -> None:
    fs, writer = Watched(str(tmp_path), lambda _, direct: taken if direct else None), BlockWriter()
    put(fs, writer, PARTS)
    assert fs.direct.count(True) <= 1
    writer.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_an_error_of_a_block_is_raised_by_what_follows(tmp_path: Path, number: int) -> None:
    def fail(buffers: Any, direct: bool) -> None:
        raise OSError(number, os.strerror(number))

    fs, writer = Watched(str(tmp_path), fail), BlockWriter()
    out = BlockFile(fs.create("a"), writer)
    with pytest.raises(StorageError) as caught:
        _write_all(out)
    assert caught.value.errno == number
    writer.close()
    with pytest.raises(StorageError, match="an earlier write"):
        out.settle()
    out.close()


def _write_all(out: BlockFile) -> None:
    for part in PARTS:
        out.write([part])
    out.settle()
