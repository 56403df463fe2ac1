"""verify(): check what the newest root needs, at three depths; report every damage with the checkpoints it touches.

structure: every metadata object and the end of every pack; stored: also every frame's checks; data: also decode every
chunk and compare it with its BLAKE3 id.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from blake3 import blake3

from ckstore.engine import reach
from ckstore.engine.decode import Decoder, row_name
from ckstore.engine.parent import load_closure, load_manifest
from ckstore.engine.reports import Damage, VerifyReport
from ckstore.engine.session import Session
from ckstore.errors import CkError, IntegrityError, MissingObjectError, UsageError
from ckstore.format import frame, pack
from ckstore.format.closure import Row
from ckstore.format.names import PACK
from ckstore.format.records import CatalogRef, Entry, ObjectRef, Root
from ckstore.store.repository import Repository

LOOKS = 4
"""Damage that is still there at the last look is reported, although others go on committing."""

LEVELS = ("structure", "stored", "data")
_READ_BYTES = 8 << 20


class _Found:
    """Damages as they are found, with the checkpoints each of them touches."""

    def __init__(self) -> None:
        self.damages: dict[str, tuple[str, dict[str, None]]] = {}
        self.n_objects = self.n_bytes = 0

    def guard(self, what: str, work: Callable[[], None], checkpoints: list[str]) -> bool:
        """Run a check; a failure of it becomes a damage of `what` (or of the object the error names)."""
        self.n_objects += 1
        try:
            work()
        except (CkError, OSError) as error:
            details = error.details if isinstance(error, CkError) else {}
            self.add(str(details.get("object", what)), str(error), checkpoints)
            return False
        return True

    def add(self, what: str, problem: str, checkpoints: list[str]) -> None:
        self.damages.setdefault(what, (problem, {}))[1].update(dict.fromkeys(checkpoints))

    def report(self, level: str) -> VerifyReport:
        found = [Damage(what, problem, list(touched)) for what, (problem, touched) in self.damages.items()]
        return VerifyReport(level, not found, self.n_objects, self.n_bytes, found)


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


def _look(repo: Repository, level: str) -> VerifyReport:
    """One look at the newest root. What `repo` has cached says nothing of what is on disk: all is read afresh."""
    try:
        session = Session(Repository(repo.fs, readonly=True))
    except CkError as error:
        found = _Found()
        found.add(str(error.details.get("object", "root")), str(error), [])
        return found.report(level)
    try:
        return _verify(session, session.repo.root(), level)
    finally:
        session.close()


def _verify(session: Session, root: Root, level: str) -> VerifyReport:
    found = _Found()
    entries = _check_catalog(session.repo, root, found)
    for ref in root.segments:
        found.guard(f"segment {ref.name}", partial(_read_segment, session.repo, ref), [])
    sizes = reach.on_disk(session.repo)
    users: dict[str, tuple[ObjectRef, dict[str, None]]] = {}
    spoilt: dict[tuple[str, int], str] = {}
    closures = [(entry, rows) for entry in entries if (rows := _check_entry(session, entry, found, users)) is not None]
    for name, (ref, touched) in users.items():
        _check_pack(session.repo, ref, sizes.get((PACK, name)), level, found, spoilt, list(touched))
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


def _check_catalog(repo: Repository, root: Root, found: _Found) -> list[Entry]:
    entries = list(root.inline)
    for ref in root.catalog:
        page: list[Entry] = []
        found.guard(f"catalog {ref.page.name}", partial(_read_page, repo, ref, page), [])
        entries.extend(page)
    return entries


def _read_page(repo: Repository, ref: CatalogRef, page: list[Entry]) -> None:
    page.extend(repo.objects.catalog(ref.page).entries)


def _check_entry(
    session: Session, entry: Entry, found: _Found, users: dict[str, tuple[ObjectRef, dict[str, None]]]
) -> list[Row] | None:
    """The closure rows of an entry if its manifest and closure are whole."""
    rows: list[Row] = []

    def work() -> None:
        table, _ = load_manifest(session.repo, entry, session.repo.root().chunk_elements)
        rows.extend(load_closure(session.repo, entry)[0])
        there = {row.chunk_id for row in rows}
        for _, columns in table:
            if any(columns.chunk_id(i) not in there for i in range(columns.n_chunks)):
                raise IntegrityError(f"closure {entry.closure.name} lacks a chunk of its manifest")

    if not found.guard(f"checkpoint {_ref(entry)}", work, [_ref(entry)]):
        return None
    for row in rows:
        users.setdefault(row.pack.name, (row.pack, {}))[1][_ref(entry)] = None
    return rows


def _check_pack(
    repo: Repository, ref: ObjectRef, size: int | None, level: str, found: _Found,
    spoilt: dict[tuple[str, int], str], touched: list[str],
) -> None:  # fmt: skip
    what = f"pack {ref.name}"
    rows: list[pack.TableRow] = []

    def table() -> None:
        if size is None:
            raise MissingObjectError(f"{what} is not in the store", object=what)
        if size != ref.n_bytes:
            raise IntegrityError(f"{what}: has {size} bytes instead of {ref.n_bytes}", object=what)
        rows.extend(repo.packs.table(ref))

    # a damaged table spoils no checkpoint: frames are found by their closures
    whole = found.guard(what, table, touched if size is None else [])
    if level != "structure" and size is not None:
        found.n_bytes += size
        if whole:
            _check_frames(repo, ref.name, rows, found, spoilt)


def _check_frames(
    repo: Repository, name: str, rows: list[pack.TableRow], found: _Found, spoilt: dict[tuple[str, int], str]
) -> None:
    start = 0
    while start < len(rows):
        stop, size = start, 0
        while stop < len(rows) and (stop == start or size + rows[stop].frame_bytes <= _READ_BYTES):
            size += rows[stop].frame_bytes
            stop += 1
        data = repo.packs.read(name, rows[start].offset, size)
        for row in rows[start:stop]:
            found.n_objects += 1
            part = data[row.offset - rows[start].offset :][: row.frame_bytes]
            _check_frame(name, row, part, found, spoilt)
        start = stop


def _check_frame(
    name: str, row: pack.TableRow, data: memoryview, found: _Found, spoilt: dict[tuple[str, int], str]
) -> None:
    what = f"pack {name}, frame at {row.offset}"
    try:
        if frame.parse(data, what).chunk_id != row.chunk_id or pack.frame_check(data) != row.check:
            raise IntegrityError(f"{what}: is not the frame the pack's table says", object=what)
    except CkError as error:
        spoilt[name, row.offset] = str(error)
        found.add(what, str(error), [])


def _name_spoilt(entry: Entry, rows: list[Row], spoilt: dict[tuple[str, int], str], found: _Found) -> None:
    for row in rows:
        problem = spoilt.get((row.pack.name, row.offset))
        if problem is not None:
            found.add(row_name(row), problem, [_ref(entry)])


def _check_data(session: Session, entry: Entry, rows: list[Row], found: _Found, done: set[bytes]) -> None:
    fresh = [i for i, row in enumerate(rows) if row.chunk_id not in done]
    done.update(rows[i].chunk_id for i in fresh)

    def work(i: int) -> tuple[int, str | None]:
        try:
            data = Decoder(session.repo, rows).chunk(i)
        except (CkError, OSError) as error:
            return i, str(error)
        return i, None if blake3(data).digest() == rows[i].chunk_id else "decoded bytes do not match their BLAKE3 id"

    for i, problem in session.map(work, fresh, lambda i: 2 * rows[i].logical_bytes):
        found.n_objects += 1
        found.n_bytes += rows[i].logical_bytes
        if problem is not None:
            found.add(row_name(rows[i]), problem, [_ref(entry)])
