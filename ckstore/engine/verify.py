"""verify(): check what the newest root needs, at three depths; report every damage with the checkpoints it touches.

structure: every metadata object and the end of every pack; stored: also every frame's checks; data: also decode every
chunk and compare it with its BLAKE3 id.
"""

from __future__ import annotations

from functools import partial
from itertools import chain

from blake3 import blake3
from msgspec.structs import astuple

from ckstore.engine import verify_packs
from ckstore.engine.decode import Decoder, row_name
from ckstore.engine.found import Found
from ckstore.engine.parent import load_closure, load_manifest
from ckstore.engine.reports import VerifyReport
from ckstore.engine.session import Session
from ckstore.engine.verify_packs import Spoilt
from ckstore.errors import CkError, IntegrityError, UsageError
from ckstore.format import closure, envelope
from ckstore.format.closure import Row
from ckstore.format.names import CLOSURE, MANIFEST
from ckstore.format.records import CatalogRef, Closure, Entry, ObjectRef, PageRef, Root
from ckstore.store.repository import Repository

LOOKS = 4
"""Damage that is still there at the last look is reported, although others go on committing."""

LEVELS = ("structure", "stored", "data")


def verify(session: Session, level: str = "stored") -> VerifyReport:
    """Check the store. Never raises for damage, but for a store that cannot be opened at all."""
    if level not in LEVELS:
        raise UsageError(f"level is one of {', '.join(LEVELS)}, not {level!r}")
    session.repo.check_process()
    for _ in range(LOOKS - 1):
        number = session.repo.roots.newest_number()
        report = _look(session.repo, level)
        if report.ok or session.repo.roots.newest_number() == number:
            return report  # else a gc may have removed what this root still needed: look again at the newest
    return _look(session.repo, level)


def unopened(error: CkError, level: str) -> VerifyReport:
    """The report of a store that cannot be opened, as with a damaged newest root: nothing below it can be judged."""
    found = Found()
    found.add(str(error.details.get("object", "root")), str(error), [])
    return found.report(level)


def _look(repo: Repository, level: str) -> VerifyReport:
    """One look at the newest root. What `repo` has cached says nothing of what is on disk: all is read afresh."""
    try:
        session = Session(Repository(repo.fs, readonly=True))
    except CkError as error:
        return unopened(error, level)
    try:
        return _verify(session, session.repo.root(), level)
    finally:
        session.close()


def _verify(session: Session, root: Root, level: str) -> VerifyReport:
    found = Found()
    entries = _check_catalog(session.repo, root, found)
    for ref in root.segments:
        found.guard(f"segment {ref.name}", partial(_read_segment, session.repo, ref), [])
    sizes = verify_packs.sizes(session.repo, found)
    users: dict[str, tuple[ObjectRef, dict[str, None]]] = {}
    spoilt: Spoilt = {}
    closures = [(entry, rows) for entry in entries if (rows := _check_entry(session, entry, found, users)) is not None]
    for name, (ref, touched) in users.items():
        needed = chain.from_iterable(rows for _, rows in closures)
        size = ref.n_bytes if sizes is None else sizes.get(name)
        verify_packs.check(session.repo, ref, size, level, found, spoilt, list(touched), needed)
    done: set[bytes] = set()
    for entry, rows in closures:
        _name_spoilt(entry, rows, spoilt, found)
        if level == "data":
            _check_data(session, entry, rows, found, done)
    return found.report(level)


def _read_segment(repo: Repository, ref: ObjectRef) -> None:
    for _ in repo.segments.rows(ref):
        pass


def _ref(entry: Entry) -> str:
    return f"{entry.run}@{entry.step}"


def _check_catalog(repo: Repository, root: Root, found: Found) -> list[Entry]:
    entries = list(root.inline)
    for ref in root.catalog:
        page: list[Entry] = []
        found.guard(f"catalog {ref.page.name}", partial(_read_page, repo, ref, page), [])
        entries.extend(page)
    return entries


def _read_page(repo: Repository, ref: CatalogRef, page: list[Entry]) -> None:
    page.extend(repo.objects.catalog(ref.page).entries)


def _check_entry(
    session: Session, entry: Entry, found: Found, users: dict[str, tuple[ObjectRef, dict[str, None]]]
) -> list[Row] | None:
    """The closure rows of an entry if its manifest and closure are whole."""
    repo, closure_name = session.repo, f"closure {entry.closure.name}"
    rows: list[Row] = []
    pages: list[tuple[int, PageRef]] = []

    def work() -> None:
        envelope.decode_map(entry.meta, f"checkpoint {_ref(entry)}")
        table, what_pages = load_manifest(repo, entry, repo.root().chunk_elements)
        where, where_pages = load_closure(repo, entry)
        rows.extend(where)
        pages.extend([(MANIFEST, page) for page in what_pages] + [(CLOSURE, page) for page in where_pages])
        there = {row.chunk_id for row in rows}
        for _, columns in table:
            if any(columns.chunk_id(i) not in there for i in range(columns.n_chunks)):
                raise IntegrityError(f"{closure_name} lacks a chunk of its manifest", object=closure_name)

    if not found.guard(f"checkpoint {_ref(entry)}", work, [_ref(entry)]):
        return None
    found.guard(closure_name, lambda: _check_head(repo.objects.closure(entry.closure), rows, pages), [_ref(entry)])
    for row in rows:
        users.setdefault(row.pack.name, (row.pack, {}))[1][_ref(entry)] = None
    return rows


def _check_head(head: Closure, rows: list[Row], pages: list[tuple[int, PageRef]]) -> None:
    """Raise IntegrityError unless the head of a closure, which is all that gc reads, says what its rows say."""
    holders = {(kind, page.holder) for kind, page in pages if page.holder}
    if sorted(map(astuple, head.packs)) != sorted(map(astuple, closure.pack_uses(rows))):
        raise IntegrityError("its list of packs is not that of its rows")
    if sorted(head.holders) != sorted(holders):
        raise IntegrityError("its list of holders is not that of its pages")
    if head.n_rows != len(rows):
        raise IntegrityError(f"it has {len(rows)} rows, but says {head.n_rows}")


def _name_spoilt(entry: Entry, rows: list[Row], spoilt: Spoilt, found: Found) -> None:
    for row in rows:
        problem = spoilt.get((row.pack.name, row.offset))
        if problem is not None:
            found.add(row_name(row), problem, [_ref(entry)])


def _check_data(session: Session, entry: Entry, rows: list[Row], found: Found, done: set[bytes]) -> None:
    fresh = [i for i, row in enumerate(rows) if row.chunk_id not in done]
    done.update(rows[i].chunk_id for i in fresh)

    def work(i: int) -> tuple[int, str | None]:
        try:
            data = Decoder(session.repo, rows).chunk(i)
        except (CkError, OSError) as error:
            return i, str(error)
        return i, None if blake3(data).digest() == rows[i].chunk_id else "decoded bytes do not match their BLAKE3 id"

    for i, problem in session.map(work, fresh, lambda i: 6 * rows[i].logical_bytes):
        found.n_objects += 1
        found.n_bytes += rows[i].logical_bytes
        if problem is not None:
            found.add(row_name(rows[i]), problem, [_ref(entry)])
