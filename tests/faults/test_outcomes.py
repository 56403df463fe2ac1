"""Failures whose handling is a rule of its own: syncs that fail, commits nobody can be sure of, writes cut short."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import pytest

import ckstore
from ckstore.codec import chunk
from ckstore.engine import encode
from ckstore.store.fs import LocalFs
from tests.support.door import Door
from tests.support.faults import Fault, FaultDoor, ShortWrites
from tests.support.states import CHUNK, assert_exact, assert_same, assert_whole_and_tidy, keys, state_of
from tests.support.stores import save


class Refusing(Door):
    """Refuses the calls that `wanted` picks."""

    def __init__(self, wanted, after=False):
        super().__init__()
        self.wanted, self.after = wanted, after
        self.calls = []

    def pass_through(self, op, call):
        self.calls.append(op)
        if not self.wanted(op):
            return call()
        if self.after:
            call()
        raise OSError(errno.EIO, os.strerror(errno.EIO), op.path)


def files(store: ckstore.Store) -> set[str]:
    return {str(path) for path in Path(store.path).rglob("*") if path.is_file()}


@pytest.fixture
def store(open_store):
    opened = open_store()
    save(opened, "main", 0)
    return opened


@pytest.mark.parametrize("kind", ["pack", "manifest", "closure", "segment", "tmp"])
def test_after_a_failed_sync_of_a_file_nothing_is_published_and_no_file_is_synced_again(store, kind):
    door = Refusing(lambda op: op.verb == "sync" and f"/{kind}/" in op.path)
    with door.installed(), pytest.raises(ckstore.StorageError, match=f"cannot sync .*/{kind}/") as failure:
        save(store, "main", 1)
    assert failure.value.errno == errno.EIO
    assert len([op for op in door.calls if door.wanted(op)]) == 1
    assert not [op for op in door.calls if op.verb == "link"]
    assert keys(store) == [("main", 0)]
    save(store, "main", 2)
    assert_whole_and_tidy(store)


@pytest.mark.parametrize("kind", ["pack", "manifest", "closure", "segment"])
def test_after_a_failed_sync_of_a_directory_nothing_is_published(store, kind):
    door = Refusing(lambda op: op.verb == "sync_dir" and op.path.endswith(f"/{kind}"))
    with door.installed(), pytest.raises(ckstore.StorageError, match=f"cannot sync .*/{kind}"):
        save(store, "main", 1)
    assert not [op for op in door.calls if op.verb == "link"]
    assert keys(store) == [("main", 0)]


@pytest.mark.parametrize(
    ("wanted", "after"),
    [
        (lambda op: op.verb == "sync_dir" and op.path.endswith("/root"), False),
        (lambda op: op.verb == "link", True),
        (lambda op: op.verb == "list" and op.path.endswith("/root"), False),
    ],
    ids=["the sync of the root's directory", "the answer to the link", "the look back afterwards"],
)
def test_a_commit_that_may_have_been_made_is_reported_as_such_and_nothing_is_cleaned_up(store, wanted, after):
    linked = []

    def wanted_after_the_link(op):
        linked.extend([op] if op.verb == "link" else [])
        return bool(linked) and wanted(op)

    door = Refusing(wanted_after_the_link, after)
    with (
        door.installed(),
        pytest.raises(ckstore.StorageError, match="not known whether the commit was made") as failure,
    ):
        save(store, "main", 1)
    assert failure.value.outcome == "unknown"
    start = door.calls.index(linked[0])
    removed = [op.path for op in door.calls[start:] if op.verb == "remove"]
    assert all("/tmp/" in path or "/lease/" in path for path in removed)
    assert keys(store) == [("main", 0), ("main", 1)]
    assert_exact(store)
    save(store, "main", 2)
    assert_whole_and_tidy(store)


def test_a_commit_whose_link_was_refused_is_reported_as_unknown_and_is_not_there(store):
    door = Refusing(lambda op: op.verb == "link")
    with door.installed(), pytest.raises(ckstore.StorageError) as failure:
        save(store, "main", 1)
    assert failure.value.outcome == "unknown"
    assert keys(store) == [("main", 0)]
    assert_whole_and_tidy(store)


def test_a_temporary_that_cannot_be_removed_does_not_undo_a_commit(store):
    door = Refusing(lambda op: op.verb == "remove")
    with door.installed():
        save(store, "main", 1)
    assert keys(store) == [("main", 0), ("main", 1)]
    assert_whole_and_tidy(store)


def test_an_out_file_refuses_everything_after_its_first_error(tmp_path):
    fs = LocalFs(str(tmp_path))
    door = Refusing(lambda op: op.verb == "write" and len(door.calls) == 2)
    with door.installed():
        out = fs.create("file")
        with pytest.raises(ckstore.StorageError):
            out.write([b"lost"])
        with pytest.raises(ckstore.StorageError, match="earlier"):
            out.write([b"more"])
        with pytest.raises(ckstore.StorageError, match="earlier"):
            out.sync()
        out.close()
    assert [op.verb for op in door.calls] == ["create", "write"]


@pytest.mark.parametrize("most", [1, 37, 4096])
def test_writes_that_take_only_part_are_continued(tmp_path, most):
    with ShortWrites(most).installed(), ckstore.open(tmp_path / "store", create=True, chunk_elements=CHUNK) as store:
        save(store, "main", 0)
        save(store, "main", 1)
        assert_exact(store)
    with ckstore.open(tmp_path / "store") as store:
        assert_whole_and_tidy(store)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
def test_a_store_that_could_not_be_made_can_be_made_later(tmp_path, code):
    for n in range(100):
        door, path = FaultDoor(Fault(code, n)), tmp_path / str(n)
        with door.installed(), contextlib.suppress(ckstore.StorageError):
            ckstore.open(path, create=True, chunk_elements=CHUNK).close()
        with ckstore.open(path, create=True, chunk_elements=CHUNK) as store:
            save(store, "main", 0)
            assert_whole_and_tidy(store)
        if not door.refused:
            assert n > 10
            return


def _other_bytes(encode_well, raw, dtype, references, more):
    return encode_well(memoryview(_spoilt(raw)), dtype, references, **more)


def _spoilt_payload(encode_well, raw, dtype, references, more):
    made = encode_well(raw, dtype, references, **more)
    return chunk.Encoded(made.codec, made.params, _spoilt(made.payload) if made.payload else b"?", made.used)


@pytest.mark.parametrize("wrong", [_other_bytes, _spoilt_payload])
def test_a_codec_that_does_not_give_back_what_it_took_saves_nothing(store, monkeypatch, wrong):
    def lossy(raw, dtype, references=(), **more):
        return wrong(chunk.encode, raw, dtype, references, more)

    monkeypatch.setattr(encode, "encode", lossy)
    with pytest.raises(ckstore.CorruptError):
        save(store, "main", 1)
    monkeypatch.undo()
    assert keys(store) == [("main", 0)]
    assert_same(store.load("main@0"), state_of("main", 0))
    assert_whole_and_tidy(store)


def _spoilt(data):
    data = bytearray(data)
    data[-1] ^= 1
    return bytes(data)
