"""What a verify finds: damages by object, each with the tensors it touches, and how much was looked at.

INVARIANT: rows are held of one checkpoint at a time; where they are wanted again, they are read again. So memory grows
with the largest checkpoint and with the number of packs, not with the rows of all checkpoints together.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ckstore.engine.decode import row_name
from ckstore.engine.parent import load_closure
from ckstore.engine.reach import ref_of
from ckstore.engine.reports import Damage, VerifyReport
from ckstore.errors import UNREADABLE, CkError, UnsupportedError
from ckstore.format.closure import Row
from ckstore.format.names import DIRECTORY, ROOT
from ckstore.format.records import CatalogRef, Entry, ObjectRef, Root
from ckstore.store.repository import Repository

WHOLE = "*"
"""Stands for all tensors of a checkpoint, where their names cannot be told or all are meant."""

Touched = Mapping[str, Iterable[str]]
"""Checkpoints by reference, and the dotted paths of their tensors."""

Spoilt = dict[tuple[str, int], str]
"""What is wrong with a frame, by pack and offset."""


_OBJECTS = {DIRECTORY[kind] for kind in DIRECTORY if kind != ROOT}


class Found:
    """Damages as they are found, with what each of them touches."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        self.touched: dict[str, dict[str, dict[str, None]]] = {}
        """By object, by reference: paths."""
        self.n_objects = self.n_bytes = 0

    def guard(self, what: str, work: Callable[[], None], touched: Touched | None = None) -> bool:
        """Run a check; a failure of it becomes a damage of `what` (or of the object the error names)."""
        self.n_objects += 1
        try:
            work()
        except UnsupportedError:
            raise  # what a newer version wrote is not damaged
        except (CkError, OSError) as error:
            details = error.details if isinstance(error, CkError) else {}
            self.add(str(details.get("object", what)), str(error), touched)
            return False
        return True

    def add(self, what: str, problem: str, touched: Touched | None = None) -> None:
        """Note a problem of `what`; the first one found is the one reported."""
        self.problems.setdefault(what, problem)
        for ref, paths in (touched or {}).items():
            self.touch(what, ref, paths)

    def touch(self, what: str, ref: str, paths: Iterable[str]) -> None:
        """Note what a damage that was added touches."""
        self.touched.setdefault(what, {}).setdefault(ref, {}).update(dict.fromkeys(paths))

    def keep_only(self, needed: Container[str]) -> bool:
        """Forget the damages of objects that are not among `needed`, such as "pack NAME"; whether there were any."""
        gone = [what for what in self.problems if what.split()[0] in _OBJECTS and what.split(",")[0] not in needed]
        for what in gone:
            del self.problems[what]
            self.touched.pop(what, None)
        return bool(gone)

    def report(self, level: str) -> VerifyReport:
        """All that was found."""
        found = [self._damage(what, problem) for what, problem in self.problems.items()]
        return VerifyReport(level, not found, self.n_objects, self.n_bytes, found)

    def _damage(self, what: str, problem: str) -> Damage:
        touched = self.touched.get(what, {})
        tensors = {ref: [WHOLE] if WHOLE in paths else list(paths) for ref, paths in touched.items()}
        return Damage(what, problem, list(touched), tensors)


@dataclass
class Survey:
    """What was found of one root."""

    root: Root
    is_settled: bool = False
    """Whether all that `root` needs was looked at, not only what it needs of what an older one did."""
    looked_at: set[tuple[int, ObjectRef]] = field(default_factory=set)
    """Segments, manifests, closures and packs of earlier looks, whether they are damaged or not."""
    found: Found = field(default_factory=Found)
    entries: list[Entry] = field(default_factory=list)
    """In commit order; those of unreadable pages are missing."""
    lost_pages: list[CatalogRef] = field(default_factory=list)
    lost_segments: list[ObjectRef] = field(default_factory=list)
    packs: dict[str, ObjectRef] = field(default_factory=dict)
    """Every pack that a row of a closure names."""
    whole: set[bytes] = field(default_factory=set)
    """Checkpoints to which nothing has happened."""
    odd: set[bytes] = field(default_factory=set)
    """Checkpoints whose closure cannot be read, or says of itself what is not so."""
    spoilt: Spoilt = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Packs that are needed and not there."""
    damaged_packs: set[str] = field(default_factory=set)
    """Packs with any damage, gone ones among them."""

    def rows(self, repo: Repository, entry: Entry) -> list[Row]:
        """The rows of a checkpoint's closure; none if that cannot be read."""
        try:
            return load_closure(repo, entry)[0]
        except UNREADABLE as error:
            if entry.id not in self.odd:  # it could be read a moment ago
                self.odd.add(entry.id)
                self.whole.discard(entry.id)
                what = str(error.details.get("object", f"closure {entry.closure.name}"))  # or one that holds its pages
                self.found.add(what, str(error), {ref_of(entry): [WHOLE]})
            return []

    def users(self, repo: Repository, packs: Container[str]) -> Iterator[tuple[Entry, list[Row]]]:
        """The checkpoints that may need one of these packs, with their rows: the head of a whole closure tells."""
        for entry in self.entries:
            if entry.id not in self.whole or self._names(repo, entry, packs):
                yield entry, self.rows(repo, entry)

    def _names(self, repo: Repository, entry: Entry, packs: Container[str]) -> bool:
        try:
            return any(use.name in packs for use in repo.objects.closure(entry.closure).packs)
        except UNREADABLE:
            return True  # reading the rows will tell

    def blame(self, row: Row) -> str | None:
        """The damaged object in which the frame of a row lies, if it cannot be read."""
        if row.pack.name in self.gone:
            return f"pack {row.pack.name}"
        return row_name(row) if (row.pack.name, row.offset) in self.spoilt else None
