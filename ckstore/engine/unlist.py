"""Segments of the next root: without the packs that a gc condemns, and without segments that cannot be read.

Why dropping a damaged segment loses nothing that is live:

- No gc asks a segment what is live. A pack lives by the heads of closures (reach.py), whoever lists it or not.
- Who looks for a chunk by its id finds it no more, and stores it again. Equal chunks in two packs are legal.
- Who needs a pack through the closure of its parent commits as before: `Writer._check_named` takes a pack for live if a
  segment of the base root names it or a checkpoint of that root uses it. What a checkpoint of a root uses, no gc
  condemns under that root; once the checkpoint is deleted, that is another root, and floor and rescue apply as ever.
- Who found a chunk by the segment just before, in a pack that no checkpoint uses, is told to begin again.
"""

from __future__ import annotations

from typing import NamedTuple

from ckstore.errors import CorruptError
from ckstore.format.records import ObjectRef, Root
from ckstore.store.repository import Repository
from ckstore.store.writer import Writer


class Unlisted(NamedTuple):
    """Segments for the next root, those of the base that are not among them, and how many of these are damaged."""

    segments: list[ObjectRef]
    replaced: list[ObjectRef]
    n_dropped: int


def unlist(repo: Repository, writer: Writer, base: Root, dead: frozenset[str]) -> Unlisted:
    """The segments of `base` such that none names a pack of `dead`; what cannot be read for that is dropped."""
    segments: list[ObjectRef] = []
    replaced: list[ObjectRef] = []
    n_dropped = 0
    for ref in base.segments:
        try:
            left = _without(repo, writer, ref, dead)
        except CorruptError:
            # or another gc has just removed it: then `base` is not the newest root, and this is done again
            left, n_dropped = [], n_dropped + 1
        segments.extend(left)
        if left != [ref]:
            replaced.append(ref)
    return Unlisted(segments, replaced, n_dropped)


def _without(repo: Repository, writer: Writer, ref: ObjectRef, dead: frozenset[str]) -> list[ObjectRef]:
    head = repo.objects.segment(ref)
    if not dead & {pack.name for pack in head.packs}:
        return [ref]
    rows = list(repo.segments.merged([ref], dead))
    return [writer.put_segment(rows, head.level)] if rows else []
