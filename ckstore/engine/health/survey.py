"""A survey of a store: all that one root needs is read, what is damaged noted. verify() reports it, repair mends it.

structure: every metadata object and the end of every pack; stored: also every frame's checks; data: also decode every
chunk and compare it with its BLAKE3 id.
"""

from __future__ import annotations

from functools import partial

from msgspec.structs import astuple

from ckstore.engine import reach
from ckstore.engine.health import touched, verify_chunks, verify_packs
from ckstore.engine.health.found import WHOLE, Survey
from ckstore.engine.parent import load_closure, load_manifest
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE, IntegrityError
from ckstore.format import closure, envelope
from ckstore.format.closure import Row
from ckstore.format.manifest import Table
from ckstore.format.names import CLOSURE, DIRECTORY, MANIFEST, PACK, SEGMENT
from ckstore.format.records import CatalogRef, Closure, Entry, ObjectRef, PageRef, Root
from ckstore.store.repository import Repository

LOOKS = 4
"""However fast others go on: what is new after the last look is not looked at."""


def survey(session: Session, root: Root, level: str) -> Survey:
    """Look at all that `root` needs. Damage is noted, not raised.

    No gc waits for whoever only reads. So what is damaged then counts only if the newest root needs it too. Where some
    does not, what is new under that root is looked at as well, and the survey is one of that root.
    """
    seen = Survey(root)
    for _ in range(LOOKS):
        _look(session, level, seen)
        seen.is_settled = not (session.repo.readonly and _is_overtaken(session.repo, seen))
        if seen.is_settled:
            break
    return seen


def _is_overtaken(repo: Repository, seen: Survey) -> bool:
    """Go on to the newest root, without the damages of what it does not need, if there are any."""
    try:
        if not seen.found.problems or repo.root().number == seen.root.number:
            return False
        root, needed = repo.at_newest(lambda root: (root, reach.of_root(repo, root)))
    except UNREADABLE:
        return False  # what hides from us what is needed stops every gc
    if not seen.found.keep_only({f"{DIRECTORY[kind]} {name}" for kind, name in needed}):
        return False
    seen.root = root
    return True


def _look(session: Session, level: str, seen: Survey) -> None:
    """Look at what `seen.root` needs and was not looked at before."""
    repo, is_first = session.repo, not seen.looked_at
    seen.entries, seen.lost_pages = [], []
    _look_at_catalog(repo, seen.root, seen)
    _look_at_segments(repo, seen)
    fresh = [entry for entry in seen.entries if not seen.looked_at.issuperset(_objects(entry))]
    for entry in fresh:
        seen.whole.discard(entry.id)
        seen.odd.discard(entry.id)
        _look_at_entry(repo, entry, seen)
    if not is_first:
        used = {row.pack.name for _, rows in seen.users(repo, seen.packs) for row in rows}
        seen.packs = {name: ref for name, ref in seen.packs.items() if name in used}
    _look_at_packs(repo, level, seen)
    if level == "data":
        verify_chunks.decode_all(session, fresh, seen)
    if seen.damaged_packs:
        for entry, rows in seen.users(repo, seen.damaged_packs):
            _name_tensors(repo, entry, rows, seen)
    seen.looked_at.update((SEGMENT, ref) for ref in seen.root.segments)
    seen.looked_at.update(item for entry in fresh for item in _objects(entry))
    seen.looked_at.update((PACK, ref) for ref in seen.packs.values())


def _objects(entry: Entry) -> list[tuple[int, ObjectRef]]:
    return [(MANIFEST, entry.manifest), (CLOSURE, entry.closure)]


def _look_at_segments(repo: Repository, seen: Survey) -> None:
    lost = {ref.name for ref in seen.lost_segments}
    for ref in seen.root.segments:
        is_new, read = (SEGMENT, ref) not in seen.looked_at, partial(_read_segment, repo, ref)
        if is_new and not seen.found.guard(f"segment {ref.name}", read):
            lost.add(ref.name)
    seen.lost_segments = [ref for ref in seen.root.segments if ref.name in lost]


def _read_segment(repo: Repository, ref: ObjectRef) -> None:
    for _ in repo.segments.columns(ref):
        pass


def _look_at_catalog(repo: Repository, root: Root, seen: Survey) -> None:
    for ref in root.catalog:
        if not seen.found.guard(f"catalog {ref.page.name}", partial(_read_page, repo, ref, seen.entries)):
            seen.lost_pages.append(ref)
    seen.entries.extend(root.inline)


def _read_page(repo: Repository, ref: CatalogRef, entries: list[Entry]) -> None:
    entries.extend(repo.objects.catalog(ref.page).entries)


def _look_at_entry(repo: Repository, entry: Entry, seen: Survey) -> None:
    """Read manifest and closure of a checkpoint, and compare them."""
    ref, closure_name = reach.ref_of(entry), f"closure {entry.closure.name}"
    table: Table = []
    rows: list[Row] = []
    pages: list[tuple[int, PageRef]] = []

    def what() -> None:
        envelope.decode_map(entry.meta, f"checkpoint {ref}")
        found, refs = load_manifest(repo, entry, repo.root().chunk_elements)
        table.extend(found)
        pages.extend((MANIFEST, page) for page in refs)

    def where() -> None:
        found, refs = load_closure(repo, entry)
        rows.extend(found)
        seen.packs.update({row.pack.name: row.pack for row in found})
        pages.extend((CLOSURE, page) for page in refs)

    whole = seen.found.guard(f"manifest {entry.manifest.name}", what, {ref: [WHOLE]})
    if not seen.found.guard(closure_name, where, {ref: touched.chunked(table)}):
        seen.odd.add(entry.id)
    elif whole:
        _compare(repo, entry, table, rows, pages, seen)


def _compare(
    repo: Repository, entry: Entry, table: Table, rows: list[Row], pages: list[tuple[int, PageRef]], seen: Survey
) -> None:
    name, ref = f"closure {entry.closure.name}", reach.ref_of(entry)
    there = {row.chunk_id for row in rows}
    lacking = any(columns.chunk_id(i) not in there for _, columns in table for i in range(columns.n_chunks))
    if lacking:
        paths = touched.tensors(table, lambda chunk_id: () if chunk_id in there else (name,))[name]
        seen.found.add(name, f"{name} lacks a chunk of its manifest", {ref: paths})
    if not seen.found.guard(name, lambda: _check_head(repo.objects.closure(entry.closure), rows, pages), {ref: []}):
        seen.odd.add(entry.id)
    elif not lacking:
        seen.whole.add(entry.id)


def _check_head(head: Closure, rows: list[Row], pages: list[tuple[int, PageRef]]) -> None:
    """Raise IntegrityError unless the head of a closure, which is all that gc reads, says what its rows say."""
    holders = {(kind, page.holder) for kind, page in pages if page.holder}
    if sorted(map(astuple, head.packs)) != sorted(map(astuple, closure.pack_uses(rows))):
        raise IntegrityError("its list of packs is not that of its rows")
    if sorted(head.holders) != sorted(holders):
        raise IntegrityError("its list of holders is not that of its pages")
    if head.n_rows != len(rows):
        raise IntegrityError(f"it has {len(rows)} rows, but says {head.n_rows}")


def _look_at_packs(repo: Repository, level: str, seen: Survey) -> None:
    sizes = verify_packs.sizes(repo, seen.found)
    for name, ref in seen.packs.items():
        if (PACK, ref) in seen.looked_at:
            continue
        size = ref.n_bytes if sizes is None else sizes.get(name)
        if size is None:
            seen.gone.add(name)
        n_problems = len(seen.found.problems)
        needed = (row for _, rows in seen.users(repo, {name}) for row in rows)
        verify_packs.check(repo, ref, size, level, seen.found, seen.spoilt, needed)
        if len(seen.found.problems) > n_problems:
            seen.damaged_packs.add(name)


def _name_tensors(repo: Repository, entry: Entry, rows: list[Row], seen: Survey) -> None:
    """Note which tensors of a checkpoint the damages of frames and packs touch."""
    if any(row.pack.name in seen.damaged_packs for row in rows):
        seen.whole.discard(entry.id)
    lost = touched.by_chunk(rows, touched.taints(rows, seen.blame))
    if not lost:
        return
    try:
        table, _ = load_manifest(repo, entry, repo.root().chunk_elements)
    except UNREADABLE:
        named = {name: [WHOLE] for names in lost.values() for name in names}
    else:
        named = touched.tensors(table, lambda chunk_id: lost.get(chunk_id, ()))
    for name, paths in named.items():
        seen.found.touch(name, reach.ref_of(entry), paths)
