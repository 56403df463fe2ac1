"""Segments of the next root: without the packs that a gc condemns, and without segments that cannot be read.

Why dropping a segment, damaged or in an emergency, loses nothing that is live:

- No gc asks a segment what is live. A pack lives by the heads of closures (reach.py), whoever lists it or not.
- Who looks for a chunk by its id finds it no more, and stores it again. Equal chunks in two packs are legal.
- Who needs a pack through the closure of its parent commits as before: `liveness.check` takes a pack for live if a
  segment of the base root names it or a checkpoint of that root uses it. What a checkpoint of a root uses, no gc
  condemns under that root; once the checkpoint is deleted, that is another root, and floor and rescue apply as ever.
- Who found a chunk by the segment just before, in a pack that no checkpoint uses, is told to begin again.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from msgspec.structs import replace

from ckstore.errors import CorruptError
from ckstore.format.names import SEGMENT
from ckstore.format.records import ObjectRef, PageRef, Root
from ckstore.format.segment import Segment
from ckstore.store.merging import Merge
from ckstore.store.repository import Repository
from ckstore.store.writer import Writer


class Unlisted(NamedTuple):
    """Segments for the next root, and how many of the base are not among them because they are damaged."""

    segments: list[ObjectRef]
    n_dropped: int


Written = dict[tuple[str, frozenset[int]], list[ObjectRef]]
"""What a writer has put in place of a segment, by its name and the positions of the packs that are gone."""


def unlist(repo: Repository, writer: Writer, base: Root, dead: Collection[str], written: Written | None) -> Unlisted:
    """The segments of `base` such that none names a pack of `dead`; what cannot be read for that is dropped.

    written: so that a commit that tries again does not write them again. None: segments that name one are dropped as
    well, and nothing is written.
    """
    segments: list[ObjectRef] = []
    n_dropped = 0
    for ref in base.segments:
        try:
            if written is None:
                left = _untouched(repo, ref, dead)
                n_dropped += not left
            else:
                left = _without(repo, writer, ref, dead, written)
        except CorruptError:
            # or another gc has just removed it: then `base` is not the newest root, and this is done again
            left, n_dropped = [], n_dropped + 1
        segments.extend(left)
    return Unlisted(segments, n_dropped)


def _untouched(repo: Repository, ref: ObjectRef, dead: Collection[str]) -> list[ObjectRef]:
    names_one = any(pack.name in dead for pack in repo.objects.segment(ref).packs_left)
    return [] if names_one else [ref]


def _without(
    repo: Repository, writer: Writer, ref: ObjectRef, dead: Collection[str], written: Written
) -> list[ObjectRef]:
    head = repo.objects.segment(ref)
    old = frozenset(head.gone)
    gone = old.union(i for i, pack in enumerate(head.packs) if pack.name in dead)
    if gone == old:
        return [ref]
    if len(gone) == len(head.packs):
        return []
    if (ref.name, gone) not in written:
        written[ref.name, gone] = _put(repo, writer, ref, head, gone)
    return written[ref.name, gone]


def _put(repo: Repository, writer: Writer, ref: ObjectRef, head: Segment, gone: frozenset[int]) -> list[ObjectRef]:
    marked = _marked(ref, head, gone)
    if head.pack_rows and 2 * marked.n_gone < head.n_rows:
        return [writer.put(SEGMENT, marked)]
    merge = Merge(repo.objects, [ref], frozenset(head.packs[i].name for i in gone))
    made = writer.put_pages(merge.packs, merge.pages(), merge.most_rows, head.level)
    return [made] if made else []


def _marked(ref: ObjectRef, head: Segment, gone: frozenset[int]) -> Segment:
    """A head over the same pages, where they lie: deleting one checkpoint must not rewrite what all others use."""

    def held(page: PageRef) -> PageRef:
        return page if page.holder else replace(page, holder=ref.name)

    return replace(
        head, pages=[held(page) for page in head.pages], gone=sorted(gone),
        filter=held(head.filter) if head.filter else None,
    )  # fmt: skip
