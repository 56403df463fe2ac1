"""The public face: open a store, save states into it, load them back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from ckstore.adapters import tree
from ckstore.engine import catalog, edit, gc, labels, restore, save, usage, verify
from ckstore.engine.checkpoint import Checkpoint, of_entry
from ckstore.engine.reports import FreedReport, GcReport, LeafInfo, StatsReport, UsageReport, VerifyReport
from ckstore.engine.session import Session
from ckstore.errors import StoreNotFound, UsageError
from ckstore.format.manifest import Table
from ckstore.format.records import Entry, Root
from ckstore.store.fs import LocalFs
from ckstore.store.repository import Repository, Settings, initialize
from ckstore.tensor import Path


def open(path: str | os.PathLike[str], create: bool = False, readonly: bool = False, **settings: int) -> Store:
    """Open the store in directory `path`; with create=True make it if there is none.

    settings, fixed when the store is made: chunk_elements (2^18), chain_cost_milli (8000), chain_frames (32); those
    of a store that is there already must be the same. A directory that holds anything else is refused.
    Raises StoreNotFound, UsageError, UnsupportedError (newer format), CorruptError, StorageError.
    """
    where = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(where, str) or not where:
        raise UsageError(f"a store is opened by the path of its directory, a non-empty text, not {path!r}")
    if "://" in where:
        raise UsageError(f"{where}: only local directories are supported")
    if readonly and create:
        raise UsageError("readonly=True and create=True exclude each other")
    fs = LocalFs(where)
    if create:
        initialize(fs, _settings(settings))
    elif settings:
        raise UsageError(f"{', '.join(settings)}: settings are fixed when a store is made; use them with create=True")
    if not fs.exists(""):
        raise StoreNotFound(f"no ckstore store at {fs.root}; make one with `ckstore init {fs.root}`")
    store = Store(Session(Repository(fs, readonly)))
    _compare(settings, store._session.repo.root(), fs.root)
    return store


def _compare(settings: Mapping[str, int], root: Root, path: str) -> None:
    """Raise UsageError for a setting that the store was made with another value of."""
    for name, value in settings.items():
        if getattr(root, name) != value:
            raise UsageError(
                f"{path} was made with {name}={getattr(root, name)}, not {value}: settings never change; leave it out"
            )


def _settings(values: Mapping[str, int]) -> Settings:
    try:
        return Settings(**values)
    except TypeError as error:
        unknown = sorted(set(values) - set(Settings.__dataclass_fields__))
        raise UsageError(f"unknown setting: {', '.join(unknown)}") from error


class Store:
    """An open store. A context manager; its methods may be called from several threads."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._closed = False

    def __repr__(self) -> str:
        notes = [", readonly"] * self._session.repo.readonly + [", closed"] * self._closed
        return f"<ckstore.Store {self.path!r}{''.join(notes)}>"

    @property
    def path(self) -> str:
        """The directory of the store."""
        return self._session.repo.fs.root

    def save(
        self, state: Any, *, step: int | None = None, run: str = "main", metrics: Mapping[str, float] | None = None,
        tags: Sequence[str] = (), meta: Mapping[str, Any] | None = None, parent: str | Checkpoint | None = "auto",
        allow_pickle: bool = False,
    ) -> Checkpoint:  # fmt: skip
        """Save a state: dicts, lists and tuples over tensors, arrays and plain values. Durable when it returns.

        step: default is one after the run's last. parent: "auto" (the run's newest checkpoint), None (no deltas) or a
        reference. meta: None, bool, int, float, str, bytes, and lists and dicts of these; keys are str.
        Raises UsageError naming path and type of what cannot be saved, ConflictError for a taken tag.
        """
        session = self._open_session()
        parent = parent.id if isinstance(parent, Checkpoint) else parent
        intent = labels.intent(run, step, metrics, tags, meta, parent)
        rows = tree.flatten(state, allow_pickle=allow_pickle)
        return of_entry(save.save(session, rows, intent))

    def load(
        self, ref: str | Checkpoint = "latest", *, select: str | Sequence[str] | None = None, into: Any = None,
        framework: str | None = None, device: Any = None, verify: bool = True, allow_pickle: bool = False,
    ) -> Any:  # fmt: skip
        """Load a state as it was saved: same tree, same leaf types, same bits.

        select: patterns over dotted paths; only matching leaves are read; NotFoundError if none matches. into: a state
        of the same tree whose tensors are overwritten in place; it is compared before the first write. framework:
        "torch" or "numpy" instead of what was saved. verify: compare every chunk with its id. On damage raises
        CorruptError; whatever is raised, its `overwritten` lists the tensors touched by then.
        """
        entry = self._resolve(ref)
        patterns = [select] if isinstance(select, str) else select

        partial = patterns is not None

        def work(entry: Entry) -> Any:
            table = restore.load(session, entry)
            every = [row for row, _ in table]
            rows = every if patterns is None else tree.select(every, patterns)
            targets = tree.destinations(
                rows, framework=framework, device=device, into=into, allow_pickle=allow_pickle, partial=partial,
                chunk_ids={row.path: columns.chunk_ids for row, columns in table},
            )  # fmt: skip
            leaves = _read(session, entry, table, targets, verify)
            if into is not None:
                return tree.into_result(rows, leaves, into, allow_pickle=allow_pickle)
            return tree.build(rows, leaves, framework=framework, allow_pickle=allow_pickle, partial=partial)

        with self._open_session().uninterrupted() as session:
            return restore.reading(session, entry, work)

    def arrays(self, ref: str | Checkpoint = "latest", *, select: str | Sequence[str] | None = None) -> Any:
        """Load a state with NumPy arrays, and None for whatever is none: needs no class that the state was made of.

        A namedtuple is a plain tuple here. select: as for load().
        """
        entry = self._resolve(ref)

        def work(entry: Entry) -> Any:
            table = restore.load(session, entry)
            rows = tree.arrays_only([row for row, _ in table])
            rows = rows if select is None else tree.select(rows, select)
            targets = tree.destinations(rows, framework="numpy", partial=True)
            leaves = _read(session, entry, table, targets, verify=True)
            return tree.build(rows, leaves, framework="numpy", partial=select is not None)

        with self._open_session().uninterrupted() as session:
            return restore.reading(session, entry, work)

    def checkpoints(self, run: str | None = None) -> list[Checkpoint]:
        """All checkpoints, or a run's, oldest first."""
        repo = self._open_session().repo
        everything = repo.at_newest(lambda root: list(catalog.entries(repo, root)))
        found = [entry for entry in everything if run in (None, entry.run)]
        return [of_entry(entry) for entry in reversed(found)]

    def checkpoint(self, ref: str | Checkpoint) -> Checkpoint:
        """The checkpoint a reference names; raises RefNotFound."""
        return of_entry(self._resolve(ref))

    def tag(self, ref: str | Checkpoint, name: str, move: bool = False) -> Checkpoint:
        """Give a checkpoint a name of its own; raises RefMoved if the name is taken, unless move=True."""
        return of_entry(edit.tag(self._session, self._resolve(ref), name, move))

    def untag(self, name: str) -> Checkpoint:
        """Take a tag away; raises RefNotFound if there is none of that name."""
        return of_entry(edit.untag(self._open_session(), name))

    def annotate(
        self, ref: str | Checkpoint, metrics: Mapping[str, float] | None = None, meta: Mapping[str, Any] | None = None
    ) -> Checkpoint:
        """Add to (or change) the metrics and meta of a checkpoint."""
        return of_entry(edit.annotate(self._session, self._resolve(ref), metrics, meta))

    def delete(self, ref: str | Checkpoint) -> None:
        """Remove a checkpoint from the catalog; gc frees its space. Raises ConflictError while it has a tag."""
        edit.delete(self._session, self._resolve(ref))

    def gc(self, dry_run: bool = False, grace_s: float = 60.0, expire_writers: bool = False) -> GcReport:
        """Free the space of everything no checkpoint needs. Safe beside savers and readers, needs no lock.

        grace_s: how long to wait for savers that began earlier (0: not at all); what they hold up, the next gc frees.
        """
        session = self._open_session()
        if not isinstance(grace_s, int | float) or not grace_s >= 0:
            raise UsageError(f"grace_s is a number of seconds from 0 on, not {grace_s!r}")
        if dry_run:
            return gc.preview(session)
        return gc.collect(session, gc.Waiting(grace_s, expire_writers))

    def verify(self, level: str = "stored") -> VerifyReport:
        """Check the whole store: "structure", "stored" or "data". Reports damage, does not raise for it."""
        return verify.verify(self._open_session(), level)

    def stats(self) -> StatsReport:
        """Counts and sizes."""
        return usage.stats(self._open_session())

    def usage(self) -> UsageReport:
        """What each checkpoint takes and what deleting it would free."""
        return usage.usage(self._open_session())

    def freed_by(self, refs: Iterable[str | Checkpoint]) -> FreedReport:
        """What deleting these checkpoints together, then gc, would free."""
        return usage.freed_by(self._open_session(), {self._resolve(ref).id for ref in refs})

    def leaves(self, ref: str | Checkpoint) -> list[LeafInfo]:
        """Every tensor and plain value of a checkpoint, without loading any."""
        session = self._open_session()
        return restore.reading(session, self._resolve(ref), lambda entry: usage.leaves(session, entry))

    def close(self) -> None:
        """Let go of threads and files. Closing twice is no error."""
        if not self._closed:
            self._closed = True
            self._session.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self.close()

    def _open_session(self) -> Session:
        if self._closed:
            raise UsageError(f"{self.path} is closed: open it again")
        return self._session

    def _resolve(self, ref: str | Checkpoint) -> Entry:
        repo = self._open_session().repo
        if isinstance(ref, Checkpoint):
            return repo.at_newest(lambda root: catalog.by_id(repo, root, bytes.fromhex(ref.id)))
        return repo.at_newest(lambda root: catalog.resolve(repo, root, ref))


def _read(
    session: Session, entry: Entry, table: Table, targets: Mapping[Path, tree.Target], verify: bool
) -> dict[Path, Any]:
    """The finished tensors of a checkpoint, by path."""
    wanted = [(path, target.destination) for path, target in targets.items()]
    restore.restore(session, entry, table, wanted, verify)
    return {path: target.finish() for path, target in targets.items()}


__all__ = ["Checkpoint", "Store", "open"]
