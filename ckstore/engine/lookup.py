"""Chunks that the store holds already, found by their id with all that they are decoded from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ckstore.engine.closures import Found
from ckstore.engine.parent import Chain, Parent, frame_cost, on_top
from ckstore.errors import UNREADABLE
from ckstore.format.closure import MAX_WORK
from ckstore.format.frame import MAX_DEPTH, Frame
from ckstore.format.records import Root
from ckstore.format.segment import SegmentRow
from ckstore.store.repository import Repository

LOOKUP_FRAMES = MAX_DEPTH
"""Most frames that finding one chunk with its bases may read: more than any chain of a writer has."""

_Links = dict[bytes, Found]
"""By chunk id, bases first."""


@dataclass(frozen=True)
class Lookup:
    """Looks into the live packs of one root, for a save on top of one parent."""

    repo: Repository
    root: Root
    parent: Parent
    live_packs: frozenset[str]

    def holds(self, chunk_id: bytes) -> bool:
        """Whether the store has this chunk in a live pack."""
        return any(row.pack.name in self.live_packs for row in self._places(chunk_id))

    def find(self, chunk_id: bytes) -> tuple[tuple[Found, ...], Chain] | None:
        """The chunk and those of its bases that the parent lacks, bases first, and the chain of it.

        None if any of it is absent or unreadable, or if the chain is so long that nothing could come on top of it.
        """
        links = self._find(chunk_id, {}, MAX_DEPTH // 2, iter(range(LOOKUP_FRAMES)))
        if links is None:
            return None
        chain = self._chain(links)
        fits = chain.frames < MAX_DEPTH and chain.work <= MAX_WORK // 2
        return (tuple(links.values()), chain) if fits else None

    def _places(self, chunk_id: bytes) -> list[SegmentRow]:
        """Where the segments say a chunk lies."""
        return list(self.repo.segments.find(self.root, chunk_id))

    def _find(self, chunk_id: bytes, links: _Links, depth: int, budget: Iterator[int]) -> _Links | None:
        """`links`, this chunk and its bases."""
        for where in self._places(chunk_id):
            if where.pack.name not in self.live_packs or depth == 0:
                continue
            if next(budget, None) is None:
                return None  # frames that name each other as bases could branch without end
            try:
                frame = self.repo.packs.frame(where.pack.name, where.offset, where.frame_bytes)
            except UNREADABLE:
                continue  # a damaged copy is no reason not to save a good one
            below = self._find_bases(frame, links, depth, budget) if frame.chunk_id == chunk_id else None
            if below is not None:
                return {**below, chunk_id: Found(where, tuple(base.chunk_id for base in frame.bases))}
        return None

    def _find_bases(self, frame: Frame, links: _Links, depth: int, budget: Iterator[int]) -> _Links | None:
        below: _Links | None = links
        for base in frame.bases:
            if below is not None and base.chunk_id not in self.parent.row_of and base.chunk_id not in below:
                below = self._find(base.chunk_id, below, depth - 1, budget)
        return below

    def _chain(self, links: _Links) -> Chain:
        """The chain of the last link, on top of those of the parent below it."""
        chains: dict[bytes, Chain] = {}
        for chunk_id, found in links.items():
            bases = [chains.get(base) or self.parent.chain(self.parent.row_of[base]) for base in found.base_ids]
            cost = frame_cost(found.where.frame_bytes, found.where.logical_bytes)
            chains[chunk_id] = on_top(cost, bases)
        return chains[next(reversed(links))]
