"""New manifests and closures for checkpoints that are published already: what thin, repack, rebase and repair share.

Why it is safe:

- A change is made from the entries of the root that its writer read at its begin. It is applied to an entry of the root
  being extended only if that entry still names the very manifest and closure it was made from. So whoever published
  another one meanwhile is not undone, and a deleted checkpoint does not come back.
- An entry that still names its closure keeps all that this closure lists alive under the very root being extended:
  the packs of rows taken over, and the holders of pages taken over from the entry's own manifest and closure. Only what
  lies elsewhere, and is not this writer's own, must be given as `needed`.
- If a gc took the writer for dead, floor and rescue (Writer.commit) hold for its new objects as for those of any save.

Readers of the old closure find objects missing sooner or later, and then take the new one from the newest root.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ckstore.engine import catalog
from ckstore.engine.closures import holders
from ckstore.format import closure, envelope
from ckstore.format.closure import Row
from ckstore.format.names import CLOSURE, epoch_of, writer_of
from ckstore.format.records import EMPTY, CatalogRef, Closure, Entry, Manifest, ObjectRef, PageRef, Root
from ckstore.format.segment import SegmentRow
from ckstore.store.repository import Repository
from ckstore.store.writer import Writer

Needed = Mapping[tuple[int, str], Sequence[SegmentRow]]

CHECKPOINT, EPOCH = "checkpoint", "epoch"
"""Keys of `extra` of a manifest that is not its checkpoint's first one: the id, and the epoch of that first one."""


def origin(entry: Entry, old: Manifest) -> dict[str, Any]:
    """What a manifest that takes the place of the entry's, which is `old`, says of the first one, for repair."""
    return {CHECKPOINT: entry.id, EPOCH: first_epoch(old, entry.manifest.name)}


def first_epoch(head: Manifest, name: str) -> int:
    """The epoch of the first manifest of a checkpoint, of which this is the first or a later one."""
    own = epoch_of(writer_of(name) or "") or 0
    noted = envelope.decode_map(head.extra, f"manifest {name}").get(EPOCH)
    return noted if isinstance(noted, int) and 0 <= noted < own else own


def republish(
    repo: Repository, writer: Writer, changes: Mapping[bytes, Callable[[Entry], Entry]], needed: Needed,
    segments: Sequence[ObjectRef] = (),
) -> Root:  # fmt: skip
    """Change some entries, by id, in one root step; the root that holds the changes. DURABLE when it returns.

    REQUIRES: what `changes` put into an entry was made from that entry as `writer.root` has it. An entry that is gone,
    or whose manifest or closure is another by now, is left as it is.
    needed: as for Writer.commit: objects of others that neither closure nor manifest of the entry kept alive before.
    segments: written by this writer, to be listed from now on.
    Raises WriterExpired (begin again), StorageError.
    """
    made_from = _entries(repo, writer.root, set(changes))
    pages: dict[str, CatalogRef] = {}

    def edit(old: Entry) -> Entry:
        then = made_from.get(old.id)
        return changes[old.id](old) if then is not None and unchanged(then, old) else old

    def extend(base: Root) -> Root:
        changed = catalog.change_many(repo, writer, base, changes.keys(), edit, pages)
        if changed is base or not segments:  # with nothing changed, nobody needs the new packs
            return changed
        return msgspec.structs.replace(changed, segments=writer.merge_segments([*changed.segments, *segments]))

    return writer.commit(extend, needed)


def unchanged(then: Entry, now: Entry) -> bool:
    """Whether an entry still has the manifest and closure it had: tags and notes may be others."""
    return (then.manifest, then.closure) == (now.manifest, now.closure)


def _entries(repo: Repository, root: Root, wanted: set[bytes]) -> dict[bytes, Entry]:
    """The entries of `root` with these ids; reads no more pages of the catalog than it must."""
    found: dict[bytes, Entry] = {}
    for entry in catalog.entries(repo, root) if wanted else ():
        if entry.id in wanted:
            found[entry.id] = entry
            if len(found) == len(wanted):
                break
    return found


def with_closure(ref: ObjectRef) -> Callable[[Entry], Entry]:
    """The change of an entry to a new closure."""
    return lambda old: msgspec.structs.replace(old, closure=ref)


def put_closure(
    writer: Writer, rows: Sequence[Row], manifest_pages: Sequence[PageRef], shared: Mapping[bytes, PageRef],
    extra: msgspec.Raw = EMPTY,
) -> tuple[ObjectRef, list[PageRef]]:  # fmt: skip
    """Write a closure of `rows`; (its reference, its pages). DURABLE with the commit.

    manifest_pages: of the manifest it belongs to, whose holders it must name.
    shared: pages by digest that need not be written again (store.objects.held_by): of the entry's old closure, or of
    closures that this writer has put before; those of other entries may be gone by the commit.
    """
    pages = closure.to_pages(rows)
    n_rows = [len(page.chunk_ids) // 32 for page in pages]

    def head(refs: list[PageRef]) -> Closure:
        return Closure(len(rows), closure.pack_uses(rows), holders(manifest_pages, refs), refs, extra)

    return writer.put_paged(CLOSURE, pages, n_rows, shared, head)
