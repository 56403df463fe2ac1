"""A survey of a store: all that one root needs is read, what is damaged noted. verify() reports it, repair mends it.

structure: every metadata object and the end of every pack; stored: also every frame's checks; data: also decode every
chunk and compare it with its BLAKE3 id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from blake3 import blake3
from msgspec.structs import astuple

from ckstore.engine.decode import Decoder, row_name
from ckstore.engine.health import touched, verify_packs
from ckstore.engine.health.found import WHOLE, Found
from ckstore.engine.health.verify_packs import Spoilt
from ckstore.engine.parent import load_closure, load_manifest
from ckstore.engine.reach import ref_of
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE, CkError, IntegrityError, UnsupportedError
from ckstore.format import closure, envelope
from ckstore.format.closure import Row
from ckstore.format.manifest import Table
from ckstore.format.names import CLOSURE, MANIFEST
from ckstore.format.records import CatalogRef, Closure, Entry, ObjectRef, PageRef, Root
from ckstore.store.repository import Repository


@dataclass
class Survey:
    """What was found of one root."""

    found: Found = field(default_factory=Found)
    entries: list[Entry] = field(default_factory=list)
    """In commit order; those of unreadable pages are missing."""
    lost_pages: list[CatalogRef] = field(default_factory=list)
    lost_segments: list[ObjectRef] = field(default_factory=list)
    rows: dict[bytes, list[Row]] = field(default_factory=dict)
    """Of every closure that reads, by the id of its checkpoint."""
    whole: set[bytes] = field(default_factory=set)
    """Checkpoints to which nothing has happened."""
    odd: set[bytes] = field(default_factory=set)
    """Checkpoints whose closure cannot be read, or says of itself what is not so."""
    spoilt: Spoilt = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Packs that are needed and not there."""
    damaged_packs: set[str] = field(default_factory=set)
    """Packs with any damage, gone ones among them."""

    def blame(self, row: Row) -> str | None:
        """The damaged object in which the frame of a row lies, if it cannot be read."""
        if row.pack.name in self.gone:
            return f"pack {row.pack.name}"
        return row_name(row) if (row.pack.name, row.offset) in self.spoilt else None


def survey(session: Session, root: Root, level: str) -> Survey:
    """Look at all that `root` needs. Damage is noted, not raised."""
    repo, seen = session.repo, Survey()
    _look_at_catalog(repo, root, seen)
    for ref in root.segments:
        if not seen.found.guard(f"segment {ref.name}", partial(_read_segment, repo, ref)):
            seen.lost_segments.append(ref)
    for entry in seen.entries:
        _look_at_entry(repo, entry, seen)
    _look_at_packs(repo, level, seen)
    if level == "data":
        _decode_all(session, seen)
    for entry in seen.entries:
        _name_tensors(repo, entry, seen)
    return seen


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
    ref, closure_name = ref_of(entry), f"closure {entry.closure.name}"
    table: Table = []
    pages: list[tuple[int, PageRef]] = []

    def what() -> None:
        envelope.decode_map(entry.meta, f"checkpoint {ref}")
        rows, refs = load_manifest(repo, entry, repo.root().chunk_elements)
        table.extend(rows)
        pages.extend((MANIFEST, page) for page in refs)

    def where() -> None:
        rows, refs = load_closure(repo, entry)
        seen.rows[entry.id] = rows
        pages.extend((CLOSURE, page) for page in refs)

    whole = seen.found.guard(f"manifest {entry.manifest.name}", what, {ref: [WHOLE]})
    if not seen.found.guard(closure_name, where, {ref: touched.chunked(table)}):
        seen.odd.add(entry.id)
    elif whole:
        _compare(repo, entry, table, pages, seen)


def _compare(repo: Repository, entry: Entry, table: Table, pages: list[tuple[int, PageRef]], seen: Survey) -> None:
    name, rows, ref = f"closure {entry.closure.name}", seen.rows[entry.id], ref_of(entry)
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
    needed = {row.pack.name: row.pack for rows in seen.rows.values() for row in rows}
    for name, ref in needed.items():
        size = ref.n_bytes if sizes is None else sizes.get(name)
        if size is None:
            seen.gone.add(name)
        n_problems = len(seen.found.problems)
        verify_packs.check(repo, ref, size, level, seen.found, seen.spoilt, chain.from_iterable(seen.rows.values()))
        if len(seen.found.problems) > n_problems:
            seen.damaged_packs.add(name)


def _decode_all(session: Session, seen: Survey) -> None:
    done: set[tuple[str, int]] = set()
    for rows in seen.rows.values():
        _decode(session, rows, seen, done)


def _decode(session: Session, rows: list[Row], seen: Survey, done: set[tuple[str, int]]) -> None:
    """Decode the rows whose frames nobody has decoded yet. What lacks a damaged base is no damage of its own."""
    fresh = [i for i, row in enumerate(rows) if (row.pack.name, row.offset) not in done]
    done.update((rows[i].pack.name, rows[i].offset) for i in fresh)
    known = touched.taints(rows, seen.blame)
    spoilt: set[int] = {i for i, names in enumerate(known) if names}

    def work(i: int) -> tuple[int, str | None]:
        try:
            data = Decoder(session.repo, rows).chunk(i)
        except UnsupportedError:
            raise
        except (CkError, OSError) as error:
            return i, str(error)
        return i, None if blake3(data).digest() == rows[i].chunk_id else "decoded bytes do not match their BLAKE3 id"

    for i, problem in session.map(work, [i for i in fresh if i not in spoilt], lambda i: 6 * rows[i].logical_bytes):
        seen.found.n_objects += 1
        seen.found.n_bytes += rows[i].logical_bytes
        if problem is not None:
            spoilt.add(i)
            if not spoilt.intersection(rows[i].bases):
                seen.found.add(row_name(rows[i]), problem)
                seen.spoilt[rows[i].pack.name, rows[i].offset] = problem
                seen.damaged_packs.add(rows[i].pack.name)


def _name_tensors(repo: Repository, entry: Entry, seen: Survey) -> None:
    """Note which tensors of a checkpoint the damages of frames and packs touch."""
    rows = seen.rows.get(entry.id, []) if seen.damaged_packs else []
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
        seen.found.touch(name, ref_of(entry), paths)
