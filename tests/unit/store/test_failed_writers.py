"""What an attempt leaves that did not come to its end: nothing, unless somebody may know of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import pytest

from ckstore.errors import StorageError
from ckstore.format.pack import packed
from ckstore.format.records import Root
from ckstore.store.outfile import OutFile
from ckstore.store.repository import Repository
from ckstore.store.writer import Writer
from tests.unit.store.opened import marked, other, raw_frame, repo, step, write_pack

__all__ = ["repo"]


class Stop(Exception):
    """Whatever ends an attempt."""


def write_and(repo: Repository, go_on: Callable[[Writer], object]) -> None:
    with repo.writer() as writer:
        writer.put_segment(write_pack(writer, [b"x"]))
        go_on(writer)
        raise Stop


def left(repo: Repository) -> list[int]:
    """How many packs, segments, leases and temporaries there are."""
    return [len(repo.fs.names(directory)) for directory in ("pack", "segment", "lease", "tmp")]


def test_a_failed_attempt_leaves_nothing(repo: Repository) -> None:
    """On a full disk its half-written packs would keep even a gc from beginning."""
    with pytest.raises(Stop):
        write_and(repo, lambda _: None)
    assert left(repo) == [0, 0, 0, 0]
    assert repo.root().number == 1


def test_a_pack_that_was_not_finished_goes_too(repo: Repository) -> None:
    def begin_one(writer: Writer) -> None:
        writer.packs().append(packed(raw_frame(b"y")))
        raise Stop

    with pytest.raises(Stop), repo.writer() as writer:
        begin_one(writer)
    assert left(repo) == [0, 0, 0, 0]


def test_what_a_root_may_name_stays_whatever_happens_then(repo: Repository) -> None:
    with pytest.raises(Stop):
        write_and(repo, lambda writer: writer.commit(marked, {}))
    assert left(repo) == [1, 1, 0, 0]


def test_after_a_publish_whose_outcome_is_unknown_nothing_is_removed(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repo.fs, "link", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(StorageError, match="not known whether"):
        write_and(repo, lambda writer: writer.commit(marked, {}))
    assert left(repo)[:3] == [1, 1, 0]


def test_after_a_publish_that_lost_its_number_nothing_is_removed(repo: Repository) -> None:
    """Its outcome is known, but a rule without exceptions is easier to trust."""

    def lose(writer: Writer) -> None:
        def change(base: Root) -> Root:
            if base.number > 1:
                raise Stop
            step(other(repo))
            return marked(base)

        writer.commit(change, {})

    with pytest.raises(Stop):
        write_and(repo, lose)
    assert left(repo) == [1, 1, 0, 0]


def test_a_root_that_found_no_space_leaves_nothing(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = OutFile.sync

    def full(self: OutFile) -> None:
        if self.path.startswith("tmp/"):
            raise StorageError("cannot sync", 28)
        sync(self)

    monkeypatch.setattr(OutFile, "sync", full)
    with pytest.raises(StorageError):
        write_and(repo, lambda writer: writer.commit(marked, {}))
    assert left(repo) == [0, 0, 0, 0]


def test_a_child_of_fork_removes_nothing_of_its_parents(repo: Repository) -> None:
    with repo.writer() as writer:
        writer.put_segment(write_pack(writer, [b"x"]))
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                writer.__exit__(Stop, Stop(), None)
            os._exit(0)
        os.waitpid(child, 0)
        assert left(repo) == [1, 1, 1, 0]
