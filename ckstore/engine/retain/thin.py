"""thin(): a checkpoint without some of its leaves: a new manifest and a new closure under its old id.

Nothing is encoded or moved: the new closure has the rows that what is left needs, their bases included, and gc frees
the rest once no other checkpoint needs it. An item of a list or tuple that is dropped becomes None, written as such, so
that a thinned checkpoint reads like any other. The new objects share pages with those of the parent and with none of
the old ones, which would keep what was dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from ckstore.engine import catalog, reach, selection
from ckstore.engine.checkpoint import DROPPED, dropped
from ckstore.engine.closures import holders
from ckstore.engine.reports import ThinReport
from ckstore.engine.republish import origin, put_closure, republish
from ckstore.engine.retain import rest, room
from ckstore.engine.retain.rest import Rest
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE, CheckpointNotFound, UsageError, WriterExpired
from ckstore.format import envelope, manifest
from ckstore.format.limits import MAX_NOTES_BYTES
from ckstore.format.names import MANIFEST
from ckstore.format.records import Closure, Entry, Manifest, ObjectRef, PageRef, Root
from ckstore.store.objects import held_by
from ckstore.store.repository import Repository
from ckstore.store.writer import Writer, until_not_expired


@dataclass(frozen=True, slots=True)
class Thinned:
    """A new manifest and closure of a checkpoint: written, but named by nobody yet."""

    made_from: Entry
    entry: Entry
    holders: list[tuple[int, str]]
    """Objects of others in which its pages lie. Its packs need no word: the old closure keeps them until the commit."""

    def is_of(self, old: Entry) -> bool:
        """Whether `old` still is what this was made from; tags and notes apart."""
        return (old.manifest, old.closure) == (self.made_from.manifest, self.made_from.closure)

    def change(self, old: Entry) -> Entry:
        """`old` with the new manifest and closure; its tags and notes may be others than when this was made."""
        new = self.entry
        return msgspec.structs.replace(
            old, manifest=new.manifest, closure=new.closure, logical_bytes=new.logical_bytes,
            n_tensors=new.n_tensors, extra=new.extra,
        )  # fmt: skip


def thin(session: Session, entry: Entry, patterns: Sequence[str] | str) -> Entry:
    """Drop the leaves that match, in one root step; the entry as it is then. DURABLE when it returns.

    Raises NotFoundError if there is nothing to drop, UsageError if nothing would be left, CheckpointNotFound,
    CorruptError, StorageError.
    """
    listed = selection.listed(patterns, "drop=")
    with session.uninterrupted() as mine:
        return until_not_expired(lambda: _attempt(mine.repo, entry.id, listed))


def _attempt(repo: Repository, checkpoint: bytes, patterns: list[str]) -> Entry:
    with repo.writer() as writer:
        entry = catalog.by_id(repo, writer.root, checkpoint)
        parent: Entry | None = None
        with suppress(CheckpointNotFound, *UNREADABLE):
            parent = catalog.by_id(repo, writer.root, entry.parent)
        made = put(repo, writer, entry, rest.of_entry(repo, entry, patterns), patterns, parent)
        root = republish(repo, writer, {checkpoint: made.change}, dict.fromkeys(made.holders, ()))
        now = catalog.by_id(repo, root, checkpoint)
        if now.manifest != made.entry.manifest:
            raise WriterExpired(f"{reach.ref_of(entry)} got other objects while it was thinned: thin it again")
    return now


def preview(session: Session, entry: Entry, patterns: Sequence[str] | str) -> ThinReport:
    """What thin() would drop, and what the next gc could free then. Raises as thin()."""
    repo, listed = session.repo, selection.listed(patterns, "drop=")

    def look(root: Root) -> ThinReport:
        now = catalog.by_id(repo, root, entry.id)
        left = rest.of_entry(repo, now, listed)
        space, _ = room.of_root(repo, root, list(catalog.entries(repo, root)))
        before = space.n_bytes
        space.change(now.id, rest.needs(now, left))
        return ThinReport(
            reach.ref_of(now), now.id.hex(), listed, now.n_tensors - len(left.tensors),
            now.logical_bytes - left.logical_bytes, before - space.n_bytes,
        )  # fmt: skip

    return repo.at_newest(look)


def put(
    repo: Repository, writer: Writer, entry: Entry, left: Rest, patterns: Sequence[str], parent: Entry | None
) -> Thinned:
    """Write the manifest and closure of what is left of `entry`. parent: whose pages they may share."""
    notes = {DROPPED: list(dict.fromkeys([*dropped(entry), *patterns]))}
    what, what_pages = _put_manifest(repo, writer, entry, left, notes, parent)
    pages = _pages(parent.closure if parent else None, repo.objects.closure)
    where, where_pages = put_closure(writer, left.rows, what_pages, pages, repo.objects.closure(entry.closure).extra)
    new = msgspec.structs.replace(
        entry, manifest=what, closure=where, logical_bytes=left.logical_bytes, n_tensors=len(left.tensors),
        extra=_noted(entry.extra, reach.ref_of(entry), notes),
    )  # fmt: skip
    return Thinned(entry, new, holders(what_pages, where_pages))


def _put_manifest(
    repo: Repository, writer: Writer, entry: Entry, left: Rest, notes: dict[str, Any], parent: Entry | None
) -> tuple[ObjectRef, list[PageRef]]:
    old = repo.objects.manifest(entry.manifest)
    extra = _noted(old.extra, f"manifest {entry.manifest.name}", {**origin(entry, old), **notes})

    def head(refs: list[PageRef]) -> Manifest:
        return msgspec.structs.replace(
            old, logical_bytes=left.logical_bytes, n_rows=len(left.table), pages=refs, extra=extra
        )

    pages = manifest.to_pages(left.table)
    shared = _pages(parent.manifest if parent else None, repo.objects.manifest)
    return writer.put_paged(MANIFEST, pages, [len(page.rows) for page in pages], shared, head)


def _pages(ref: ObjectRef | None, head: Callable[[ObjectRef], Manifest | Closure]) -> dict[bytes, PageRef]:
    """The pages of the parent's manifest or closure that may be referred to, by digest."""
    with suppress(*UNREADABLE):
        return held_by(ref.name, head(ref).pages) if ref else {}
    return {}


def _noted(extra: msgspec.Raw, what: str, notes: dict[str, Any]) -> msgspec.Raw:
    """A free map with some keys more; UsageError if no reader would take so much."""
    noted = envelope.encode_map({**envelope.decode_map(extra, what), **notes})
    if len(bytes(noted)) > MAX_NOTES_BYTES:
        raise UsageError(f"{what}: the patterns dropped from it take more than {MAX_NOTES_BYTES} bytes: use fewer")
    return noted
