"""The door to the operating system: it never replaces, never half-publishes, and names what went wrong."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from ckstore.errors import StorageError, UnsupportedError
from ckstore.store import fs as fs_module
from ckstore.store import outfile
from ckstore.store.fs import LocalFs
from tests.support.door import Door, Op

DATA = bytes(range(256)) * 40


@pytest.fixture
def fs(tmp_path: Path) -> LocalFs:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "root").mkdir()
    return LocalFs(str(tmp_path))


def put(fs: LocalFs, path: str, data: bytes) -> None:
    with fs.create(path) as out:
        out.write([data])


class Failing(Door):
    """Refuses one verb, with one errno, some times."""

    def __init__(self, verb: str, number: int, times: int = 1 << 30) -> None:
        super().__init__()
        self._verb, self._number, self._times = verb, number, times

    def pass_through(self, op: Op, call: Any) -> Any:
        if op.verb == self._verb and self._times > 0:
            self._times -= 1
            raise OSError(self._number, os.strerror(self._number), op.path)
        return call()


def test_create_never_replaces(fs: LocalFs) -> None:
    put(fs, "root/a", b"first")
    with pytest.raises(FileExistsError):
        fs.create("root/a")
    assert fs.read("root/a") == b"first"


def test_publish_makes_a_whole_file_and_leaves_no_temporary(fs: LocalFs) -> None:
    fs.publish("tmp/t", "root/a", DATA)
    assert fs.read("root/a") == DATA
    assert fs.names("tmp") == []


def test_publish_never_replaces_and_leaves_no_temporary(fs: LocalFs) -> None:
    put(fs, "root/a", b"first")
    with pytest.raises(FileExistsError):
        fs.publish("tmp/t", "root/a", DATA)
    assert fs.read("root/a") == b"first"
    assert fs.names("tmp") == []


def test_publish_syncs_the_bytes_before_the_name_is_there(fs: LocalFs) -> None:
    seen: list[str] = []

    class Watch(Door):
        def pass_through(self, op: Op, call: Any) -> Any:
            seen.append(op.verb)
            return call()

    with Watch().installed():
        fs.publish("tmp/t", "root/a", DATA)
    assert seen.index("create") < seen.index("write") < seen.index("sync") < seen.index("link")


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK])
def test_publish_renames_without_replacing_where_there_are_no_links(fs: LocalFs, number: int) -> None:
    with Failing("link", number).installed():
        fs.publish("tmp/t", "root/a", DATA)
        with pytest.raises(FileExistsError):
            fs.publish("tmp/t", "root/a", b"second")
    assert fs.read("root/a") == DATA
    assert fs.names("tmp") == []


def test_a_file_system_without_either_is_refused_by_name(fs: LocalFs, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoLibrary:
        renameat2 = None

    monkeypatch.setattr(fs_module.ctypes, "CDLL", lambda *_, **__: NoLibrary())
    with Failing("link", errno.EPERM).installed(), pytest.raises(UnsupportedError, match="two savers") as caught:
        fs.publish("tmp/t", "root/a", DATA)
    assert caught.value.path == fs.root
    assert fs.names("root") == []


@pytest.mark.parametrize(
    ("verb", "call"),
    [
        ("create", lambda fs: fs.create("root/b")),
        ("write", lambda fs: put(fs, "root/b", DATA)),
        ("sync", lambda fs: put(fs, "root/b", DATA)),
        ("link", lambda fs: fs.publish("tmp/t", "root/b", DATA)),
        ("read", lambda fs: fs.read("root/a")),
        ("open", lambda fs: fs.read("root/a")),
        ("list", lambda fs: fs.names("root")),
        ("list", lambda fs: fs.sizes("root")),
        ("remove", lambda fs: fs.remove("root/a")),
        ("sync_dir", lambda fs: fs.sync_dir("root")),
        ("make_dir", lambda fs: fs.make_dir("new")),
        ("stat", lambda fs: fs.modified("root/a")),
    ],
)
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS, errno.EMFILE])
def test_an_error_keeps_its_errno_and_names_the_file(fs: LocalFs, verb: str, call: Any, number: int) -> None:
    put(fs, "root/a", DATA)
    with Failing(verb, number).installed(), pytest.raises(StorageError) as caught:
        call(fs)
    assert caught.value.errno == number
    assert str(fs.root) in str(caught.value)


def test_a_file_that_could_not_be_written_is_refused_from_then_on(fs: LocalFs) -> None:
    with Failing("write", errno.ENOSPC, times=1).installed():
        out = fs.create("root/a")
        with pytest.raises(StorageError, match="No space"):
            out.write([DATA])
        for again in (lambda: out.write([DATA]), out.sync):
            with pytest.raises(StorageError, match="an earlier write or sync of it failed"):
                again()
        out.close()
    assert fs.read("root/a") == b""


def test_a_file_whose_sync_failed_is_never_synced_again(fs: LocalFs) -> None:
    with Failing("sync", errno.EIO, times=1).installed():
        out = fs.create("root/a")
        out.write([DATA])
        for _ in range(2):  # the kernel may have dropped the pages: a second sync would lie
            with pytest.raises(StorageError, match="cannot sync"):
                out.sync()
        out.close()


def test_short_writes_and_many_buffers_lose_nothing(fs: LocalFs, monkeypatch: pytest.MonkeyPatch) -> None:
    buffers = [bytes([i % 256]) * (i % 7) for i in range(3000)]
    taken = iter([1, 2, 3] * 100_000)

    def some(fd: int, given: Any, path: str) -> int:
        assert len(given) <= 1024
        return os.write(fd, bytes(given[0])[: next(taken)])

    monkeypatch.setattr(fs, "write_some", some)
    with fs.create("root/a") as out:
        out.write(buffers)
        assert out.n_bytes == sum(map(len, buffers))
    assert fs.read("root/a") == b"".join(buffers)


def test_no_system_call_moves_more_than_the_limit(fs: LocalFs, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (fs_module, outfile):
        monkeypatch.setattr(module, "MAX_IO_BYTES", 100)
    sizes: list[int] = []

    class Watch(Door):
        def pass_through(self, op: Op, call: Any) -> Any:
            result = call()
            if op.verb in ("read", "write"):
                sizes.append(len(result) if op.verb == "read" else result)
            return result

    with Watch().installed():
        put(fs, "root/a", DATA)
        assert fs.read("root/a") == DATA
    assert max(sizes) == 100


def test_a_range_is_read_as_it_lies(fs: LocalFs) -> None:
    put(fs, "root/a", DATA)
    assert fs.read("root/a", 5, 10) == DATA[5:15]
    assert fs.read("root/a", len(DATA) - 3, 10) == DATA[-3:]
    assert fs.read("root/a", len(DATA) + 9, 10) == b""
    assert fs.read("root/a", 0, 0) == b""
    assert fs.sizes("root") == {"a": len(DATA)}


def test_what_is_missing_is_missing(fs: LocalFs) -> None:
    for call in (fs.open_read, fs.read, fs.modified, fs.names, fs.sync_dir):
        with pytest.raises((FileNotFoundError, StorageError)):
            call("root/none")
    assert not fs.exists("root/none")
    fs.remove("root/none")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("made", ["symlink", "fifo", "directory"])
def test_what_is_no_plain_file_is_refused_and_never_waited_for(fs: LocalFs, tmp_path: Path, made: str) -> None:
    path = tmp_path / "root" / "odd"
    put(fs, "root/a", DATA)
    {"symlink": lambda: path.symlink_to("a"), "fifo": lambda: os.mkfifo(path), "directory": path.mkdir}[made]()
    with pytest.raises(StorageError, match="odd"):
        fs.read("root/odd", 0, 10)


def test_a_file_removed_while_it_is_listed_is_left_out(fs: LocalFs, monkeypatch: pytest.MonkeyPatch) -> None:
    put(fs, "root/a", DATA)
    put(fs, "root/b", DATA)
    scandir = os.scandir

    class Late(Door):
        def scandir(self, path: str) -> Any:
            entries = scandir(path)
            os.unlink(os.path.join(path, "a"))
            return entries

    with Late().installed():
        assert set(fs.sizes("root")) <= {"a", "b"}
        assert "b" in fs.names("root")


def test_a_file_closed_twice_closes_nobody_elses_descriptor(fs: LocalFs) -> None:
    out = fs.create("root/a")
    taken = out._fd
    out.close()
    put(fs, "root/b", DATA)
    other = fs.open_read("root/b")
    assert other == taken
    out.close()
    assert fs.pread(other, 10, 0, "root/b") == DATA[:10]
    fs.close(other)
