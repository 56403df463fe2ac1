"""Writes what a repair has planned, and publishes it in one root step.

Why it is safe beside savers and gcs: all that the new root names anew was written by this writer under its own lease,
or lies in packs that the root at its begin named live, which the commit checks and rescues as it does for a save. What
the root at its begin named already is changed only where the root being extended still names the very same.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ckstore.engine import catalog
from ckstore.engine.health.mend import Mended
from ckstore.engine.health.plan import Plan
from ckstore.engine.parent import load_manifest
from ckstore.engine.republish import origin, put_closure
from ckstore.errors import WriterExpired
from ckstore.format import envelope, manifest
from ckstore.format.closure import Row
from ckstore.format.limits import PAGE_ENTRIES
from ckstore.format.names import CATALOG, MANIFEST, PACK
from ckstore.format.pack import packed
from ckstore.format.records import EMPTY, CatalogPage, CatalogRef, Entry, Manifest, ObjectRef, PageRef, Root
from ckstore.format.segment import SegmentRow
from ckstore.store.objects import held_by
from ckstore.store.repository import Repository
from ckstore.store.writer import Writer

Rows = dict[tuple[str, int], Row]
"""Copied frames by the pack and offset they came from; `bases` is empty."""
Needed = dict[tuple[int, str], list[SegmentRow]]


def apply(repo: Repository, writer: Writer, plan: Plan) -> Root:
    """Write and publish. DURABLE when it returns. Raises WriterExpired (plan again), StorageError."""
    copied = _copy(repo, writer, plan)
    shared: dict[bytes, PageRef] = {}
    needed: Needed = {}
    entries = [_put(repo, writer, plan, mended, copied, shared, needed) for mended in plan.mended]
    segments = _segments(writer, plan, copied)
    return _publish(repo, writer, plan, entries, segments, needed)


def _copy(repo: Repository, writer: Writer, plan: Plan) -> Rows:
    """Copy frames, byte for byte, to new packs."""
    if not plan.copies:
        return {}
    packs, placed = writer.packs(), {}
    for place in plan.copies:
        frame = repo.packs.frame(place.pack, place.offset, place.frame_bytes)
        placed[place] = packs.append(packed(frame))
    refs = packs.finish()
    return {
        (old.pack, old.offset): Row(old.chunk_id, refs[new.pack], new.offset, new.frame_bytes, old.logical_bytes)
        for old, new in placed.items()
    }


def _put(
    repo: Repository, writer: Writer, plan: Plan, mended: Mended, copied: Rows, shared: dict[bytes, PageRef],
    needed: Needed,
) -> Entry:  # fmt: skip
    """Write a closure, and the manifest too if nothing names that any more; the entry that names them."""
    case, entry = mended.case, mended.case.entry
    if case.relisted:
        manifest_ref, manifest_pages = _put_manifest(repo, writer, entry, plan.root.chunk_elements, shared)
    else:
        manifest_ref, manifest_pages = entry.manifest, repo.objects.manifest(entry.manifest).pages
    own, extra = {}, EMPTY
    if not (case.odd or case.relisted):
        old = repo.objects.closure(entry.closure)
        own, extra = held_by(entry.closure.name, old.pages), old.extra
    rows = _rows(plan, mended, copied, needed)
    closure_ref, pages = put_closure(writer, rows, manifest_pages, {**own, **shared}, extra)
    shared.update({page.digest: page for page in held_by(closure_ref.name, pages).values() if page.digest not in own})
    return replace(entry, manifest=manifest_ref, closure=closure_ref)


def _put_manifest(
    repo: Repository, writer: Writer, entry: Entry, chunk_elements: int, shared: dict[bytes, PageRef]
) -> tuple[ObjectRef, list[PageRef]]:
    """A copy of a manifest: its own could be in the hands of a gc."""
    table, _ = load_manifest(repo, entry, chunk_elements)
    old = repo.objects.manifest(entry.manifest)
    notes = envelope.decode_map(old.extra, f"manifest {entry.manifest.name}")
    extra = envelope.encode_map({**notes, **origin(entry, old)})
    pages = manifest.to_pages(table)

    def head(refs: list[PageRef]) -> Manifest:
        return replace(old, n_rows=len(table), pages=refs, extra=extra)

    ref, refs = writer.put_paged(MANIFEST, pages, [len(page.rows) for page in pages], shared, head)
    shared.update(held_by(ref.name, refs))
    return ref, refs


def _rows(plan: Plan, mended: Mended, copied: Rows, needed: Needed) -> list[Row]:
    """The places of a closure as its rows."""
    number: dict[bytes, int] = {}
    rows: list[Row] = []
    own = {place.pack for place in plan.known.places.at(mended.case.old)}
    for place in plan.known.places.at(mended.places):
        bases = tuple(number[base] for base in place.base_ids)
        number[place.chunk_id] = len(rows)
        new = copied.get((place.pack, place.offset))
        if new is not None:
            rows.append(replace_bases(new, bases))
            continue
        rows.append(Row(place.chunk_id, plan.refs[place.pack], *place[2:5], bases))
        if place.pack not in own or mended.case.relisted:
            where = SegmentRow(place.chunk_id, plan.refs[place.pack], *place[2:5])
            needed.setdefault((PACK, place.pack), []).append(where)
    return rows


def replace_bases(row: Row, bases: tuple[int, ...]) -> Row:
    """`row` with other bases."""
    return Row(row.chunk_id, row.pack, row.offset, row.frame_bytes, row.logical_bytes, bases)


def _segments(writer: Writer, plan: Plan, copied: Rows) -> list[ObjectRef]:
    """Segments of the new packs, and of live ones that no readable segment lists."""
    rows = [SegmentRow(r.chunk_id, r.pack, r.offset, r.frame_bytes, r.logical_bytes) for r in copied.values()]
    rows += plan.unlisted
    return [writer.put_segment(rows)] if rows else []


def _publish(
    repo: Repository, writer: Writer, plan: Plan, entries: Sequence[Entry], segments: Sequence[ObjectRef],
    needed: Needed,
) -> Root:  # fmt: skip
    made_from = {mended.case.entry.id: mended.case.entry for mended in plan.mended if not mended.case.relisted}
    changed = {entry.id: entry for entry in entries if entry.id in made_from}
    relisted = [entry for entry in entries if entry.id not in made_from]
    lost = {ref.name for ref in plan.lost_segments}
    dropped = {entry.id for entry in plan.dropped}
    written: dict[str, CatalogRef] = {}
    behind = [entry for entry in relisted if entry.id not in plan.page_of]
    pages = {
        ref.page.name: _pages(writer, [entry for entry in relisted if plan.page_of.get(entry.id) == ref.page.name])
        for ref in plan.lost_pages
    }

    def edit(old: Entry) -> Entry | None:
        if old.id in dropped:
            return None
        then = made_from[old.id]
        same = (then.manifest, then.closure) == (old.manifest, old.closure)
        return replace(old, closure=changed[old.id].closure) if same else old

    def extend(base: Root) -> Root:
        _check_same(base, plan)
        root = replace(base, floor=base.number + 1) if plan.past_damage else base
        root = replace(root, catalog=[new for ref in root.catalog for new in pages.get(ref.page.name, [ref])])
        root = catalog.change_many(repo, writer, root, changed.keys() | dropped, edit, written)
        if behind:
            known = {entry.id for entry in catalog.readable(repo, root)}
            for entry in behind:
                root = root if entry.id in known else catalog.append(repo, writer, root, entry)
        kept = [ref for ref in root.segments if ref.name not in lost]
        return replace(root, segments=[*kept, *segments])

    return writer.commit(extend, needed)


def _check_same(base: Root, plan: Plan) -> None:
    """Raise WriterExpired if another repair came first: what was lost is lost no more."""
    lost = {ref.page.name for ref in plan.lost_pages}
    if (plan.past_damage and base.number != plan.root.number) or lost - {ref.page.name for ref in base.catalog}:
        raise WriterExpired("somebody else has repaired the store meanwhile: look again")


def _pages(writer: Writer, entries: Sequence[Entry]) -> list[CatalogRef]:
    parts = [list(entries[i : i + PAGE_ENTRIES]) for i in range(0, len(entries), PAGE_ENTRIES)]
    return [CatalogRef(writer.put(CATALOG, CatalogPage(part)), len(part)) for part in parts]
