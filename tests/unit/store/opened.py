"""Repositories for tests of the store layer, without an engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from blake3 import blake3

from ckstore.format import envelope
from ckstore.format.frame import RAW, Frame
from ckstore.format.names import ROOT, root_path
from ckstore.format.pack import packed
from ckstore.format.records import ObjectRef, Root
from ckstore.format.segment import SegmentRow
from ckstore.store.fs import LocalFs
from ckstore.store.repository import Repository, initialize
from ckstore.store.settings import Settings
from ckstore.store.writer import Writer


def new_repository(path: str) -> Repository:
    """An empty store, opened."""
    fs = LocalFs(path)
    assert initialize(fs, Settings())
    return Repository(fs)


@pytest.fixture
def repo(store_path: str) -> Iterator[Repository]:
    """An empty store, closed at the end."""
    opened = new_repository(store_path)
    yield opened
    opened.close()


def other(repo: Repository) -> Repository:
    """The same store, opened by somebody else."""
    return Repository(LocalFs(repo.fs.root))


def marked(base: Root) -> Root:
    """A root that anybody can tell from its base."""
    return msgspec.structs.replace(base, compatible=["mine"])


def raw_frame(data: bytes) -> Frame:
    """A frame of any bytes."""
    return Frame(RAW, blake3(data).digest(), len(data), (), b"", data)


def add_pack(repo: Repository, *chunks: bytes) -> list[SegmentRow]:
    """Commit a pack of these chunks; its segment rows."""
    with repo.writer() as writer:
        rows = write_pack(writer, chunks)
        ref = writer.put_segment(rows)
        writer.commit(lambda base: msgspec.structs.replace(base, segments=[*base.segments, ref]), {})
    return rows


def write_pack(writer: Writer, chunks: Sequence[bytes]) -> list[SegmentRow]:
    """Write a pack of these chunks; the rows of a segment for it. Nothing is committed."""
    packs = writer.packs()
    placed = [(packs.append(packed(raw_frame(chunk))), chunk) for chunk in chunks]
    refs: list[ObjectRef] = packs.finish()
    rows = [
        SegmentRow(blake3(chunk).digest(), refs[place.pack], place.offset, place.frame_bytes, len(chunk))
        for place, chunk in placed
    ]
    return sorted(rows, key=lambda row: row.chunk_id)


def step(repo: Repository, **changes: Any) -> Root:
    """One more root, with these fields changed, by somebody else."""
    with repo.writer() as writer:
        return writer.commit(lambda base: msgspec.structs.replace(base, **changes), {})


def plant_root(repo: Repository, **changes: Any) -> Root:
    """One more root of a build that does not check what it writes."""
    base = repo.root()
    root = msgspec.structs.replace(base, **{"number": base.number + 1, **changes})
    data, _ = envelope.encode(ROOT, repo.uuid, root, compress=False)
    repo.fs.publish("tmp/1-0000000000000000-1", root_path(root.number), data)
    return root


def root_file(repo: Repository, number: int) -> str:
    """Where root `number` lies."""
    return repo.fs.locate(root_path(number))
