"""Whether what a writer needs of others is live under the root it extends. Liveness is positive: unknown is dead."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress

from ckstore.errors import UNREADABLE, WriterExpired
from ckstore.format.names import PACK
from ckstore.format.records import Entry, Root
from ckstore.store.objects import Objects
from ckstore.store.segments import Segments

_Object = tuple[int, str]


def check(objects: Objects, segments: Segments, base: Root, needed: Collection[_Object], rescued: set[_Object]) -> None:
    """Raise WriterExpired unless every pack of `needed` that is not rescued is live, and nothing of it being deleted.

    The floor already forbids this; a second, positive test costs nothing and trusts no argument.
    """
    packs = {name for kind, name in needed if kind == PACK and (kind, name) not in rescued}
    gone = _unused(objects, base, packs - segments.live_packs(base)) if packs else packs
    doomed = {(item.kind, item.name) for item in base.deleting} & set(needed)
    if gone or doomed:
        raise WriterExpired(f"{len(gone) + len(doomed)} objects this commit needs are being deleted: save again")


def _unused(objects: Objects, base: Root, packs: set[str]) -> set[str]:
    """Those of `packs` that no checkpoint of `base` uses. It uses packs that none of its segments names where one of
    these was damaged: engine/gc/unlist.py says why such a pack is live."""
    newest_first = entries(objects, base)
    with suppress(*UNREADABLE):  # what an unreadable page or closure needs is not known
        while packs and (entry := next(newest_first, None)) is not None:
            with suppress(*UNREADABLE):
                packs = packs - {pack.name for pack in objects.closure(entry.closure).packs}
    return packs


def entries(objects: Objects, root: Root) -> Iterator[Entry]:
    """Every entry, newest first."""
    yield from reversed(root.inline)
    for ref in reversed(root.catalog):
        yield from reversed(objects.catalog(ref.page).entries)
