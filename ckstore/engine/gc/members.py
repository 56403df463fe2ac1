"""What a manifest says of its chunks that helps to encode them anew: dtypes, and parts in the training."""

from __future__ import annotations

from typing import NamedTuple

from ckstore.codec.hints import NO_HINTS, Hints
from ckstore.engine import companions
from ckstore.engine.hyper import Settings
from ckstore.engine.parent import Parent, load_manifest
from ckstore.errors import UNREADABLE, UnsupportedError
from ckstore.format.records import Entry, TensorRow
from ckstore.store.repository import Repository
from ckstore.tensor import TensorView


class Member(NamedTuple):
    """A chunk of a tensor. None of this is needed to decode it, so that a wrong guess costs bytes, never truth."""

    dtype: str | None
    hints: Hints


UNKNOWN = Member(None, NO_HINTS)
"""Of a chunk that no manifest names any more."""


def of_entry(repo: Repository, entry: Entry, wanted: set[bytes]) -> dict[bytes, Member]:
    """Those of the chunks `wanted` that the checkpoint's manifest names; nothing if that cannot be read."""
    elements = repo.root().chunk_elements
    try:
        table, _ = load_manifest(repo, entry, elements)
    except (*UNREADABLE, UnsupportedError):
        return {}
    tensors = [(row, columns) for row, columns in table if isinstance(row, TensorRow)]
    views = [TensorView(row.path, row.kind, row.dtype, tuple(row.shape), _nothing) for row, _ in tensors]
    families = companions.find(views, Settings((), Parent()))
    part_of = {number: part for family in families for part, number in family.parts()}
    found: dict[bytes, Member] = {}
    for number, ((row, columns), view) in enumerate(zip(tensors, views, strict=True)):
        for i in range(columns.n_chunks):
            if (chunk_id := columns.chunk_id(i)) in wanted:
                whole = len(row.shards) == 1 and row.shards[0].lengths == row.shape
                # of a part of a tensor nobody knows here where its chunks lie
                hints = Hints(part_of.get(number, ""), companions.columns(view), i * elements) if whole else NO_HINTS
                found.setdefault(chunk_id, Member(row.dtype, hints))
    return found


def _nothing(start: int, stop: int) -> memoryview:  # pragma: no cover - what is never read is never called
    return memoryview(b"")  # names and shapes tell enough
