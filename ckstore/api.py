"""The public face: open a store, save states into it, load them back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from ckstore.adapters import loading, tree
from ckstore.codec import levels
from ckstore.engine import catalog, edit, labels, reports, restore, save, usage
from ckstore.engine.checkpoint import Checkpoint, of_entry
from ckstore.engine.gc import collector, forecast
from ckstore.engine.gc.upkeep import Upkeep, silent
from ckstore.engine.health import repair as mending
from ckstore.engine.health import verify
from ckstore.engine.retain import keep, thin
from ckstore.engine.retain.policy import Keep
from ckstore.engine.session import Session
from ckstore.errors import StoreNotFound, UsageError
from ckstore.format.records import Entry
from ckstore.store import settings as fixed
from ckstore.store.fs import LocalFs
from ckstore.store.repository import Repository, initialize


def open(
    path: str | os.PathLike[str], create: bool = False, readonly: bool = False, level: str = "balanced", **settings: int
) -> Store:
    """Open the store in directory `path`; with create=True make it if there is none.

    level: how hard saves try, if not told otherwise: "fast", "balanced" or "archive". A store may hold all of them.
    settings, fixed when the store is made: chunk_elements (2^18), chain_cost_milli (10000), chain_frames (32); those
    of a store that is there already must be the same. A directory that holds anything else is refused.
    Raises StoreNotFound, UsageError, UnsupportedError (newer format), CorruptError, StorageError.
    """
    effort = levels.parse(level)
    where = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(where, str) or not where:
        raise UsageError(f"a store is opened by the path of its directory, a non-empty text, not {path!r}")
    if "://" in where:
        raise UsageError(f"{where}: only local directories are supported")
    if readonly and create:
        raise UsageError("readonly=True and create=True exclude each other")
    fs = LocalFs(where)
    if create:
        initialize(fs, fixed.of(settings))
    elif settings:
        raise UsageError(f"{', '.join(settings)}: settings are fixed when a store is made; use them with create=True")
    if not fs.exists(""):
        raise StoreNotFound(f"no ckstore store at {fs.root}; make one with `ckstore init {fs.root}`")
    store = Store(Session(Repository(fs, readonly)), effort)
    fixed.compare(settings, store._session.repo.root(), fs.root)
    return store


def repair(path: str | os.PathLike[str], dry_run: bool = True) -> reports.RepairReport:
    """As Store.repair(), also for a store that cannot be opened because its newest root is damaged."""
    return mending.repair(LocalFs(os.fspath(path)), dry_run)


class Store:
    """An open store. A context manager; its methods may be called from several threads."""

    def __init__(self, session: Session, level: levels.Level = levels.Level.BALANCED) -> None:
        self._session, self._level = session, level
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
        allow_pickle: bool = False, weights_alone: bool = False, level: str | None = None,
    ) -> Checkpoint:  # fmt: skip
        """Save a state: dicts, lists and tuples over tensors, arrays and plain values. Durable when it returns.

        step: default is one after the run's last. parent: "auto" (the run's newest checkpoint; for the first of a run
        the nearest of other runs, if one is near), None (no deltas) or a reference. weights_alone: do not predict
        weights from optimizer state, even where that saves 3 % of their bytes: loading them then reads nothing of it.
        level: "fast", "balanced" or "archive"; None: as open() was told. meta: None, bool, int, float, str, bytes, and
        lists and dicts of these; keys are str. Raises UsageError naming path and type of what cannot be saved,
        ConflictError for a taken tag.
        """
        session, effort = self._open_session(), self._level if level is None else levels.parse(level)
        parent = parent.id if isinstance(parent, Checkpoint) else parent
        intent = replace(labels.intent(run, step, metrics, tags, meta, parent), weights_alone=weights_alone)
        rows = tree.flatten(state, allow_pickle=allow_pickle)
        return of_entry(save.save(session, rows, intent, effort))

    def load(
        self, ref: str | Checkpoint = "latest", *, select: str | Sequence[str] | None = None, into: Any = None,
        framework: str | None = None, device: Any = None, verify: bool = True, allow_pickle: bool = False,
        partial: bool = False,
    ) -> Any:  # fmt: skip
        """Load a state as it was saved: same tree, same leaf types, same bits.

        select: patterns over dotted paths; only matching leaves are read; NotFoundError if none matches. into: a state
        of the same tree whose tensors are overwritten in place; it is compared before the first write. framework:
        "torch" or "numpy" instead of what was saved. verify: compare every chunk with its id. On damage raises
        CorruptError; whatever is raised, its `overwritten` lists what may be changed by then. partial: damaged leaves
        are left out, as if not selected, and a DamageWarning names them; into= keeps what it had there.
        """
        entry = self._resolve(ref)
        how = loading.How(select, into, framework, device, verify, allow_pickle, partial)
        with self._open_session().uninterrupted() as session:
            return loading.load(session, entry, how)

    def arrays(self, ref: str | Checkpoint = "latest", *, select: str | Sequence[str] | None = None) -> Any:
        """Load a state with NumPy arrays, and None for whatever is none: needs no class that the state was made of.

        A namedtuple is a plain tuple here. select: as for load().
        """
        entry = self._resolve(ref)
        with self._open_session().uninterrupted() as session:
            return loading.arrays(session, entry, select)

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

    def thin(self, ref: str | Checkpoint, drop: str | Sequence[str]) -> Checkpoint:
        """Take the leaves that match `drop` out of a checkpoint, whatever its tags; its id stays. gc frees the space.

        drop: patterns over dotted paths, as for select=. Dicts lose keys, items of lists and tuples become None.
        Raises NotFoundError if there is nothing to drop, UsageError if nothing would be left.
        """
        return of_entry(thin.thin(self._session, self._resolve(ref), drop))

    def freed_by_thin(self, ref: str | Checkpoint, drop: str | Sequence[str]) -> reports.ThinReport:
        """What thinning this checkpoint, then gc, would free. Raises as thin()."""
        return thin.preview(self._session, self._resolve(ref), drop)

    def keep(self, policy: Keep, dry_run: bool = False, agreed: reports.KeepReport | None = None) -> reports.KeepReport:
        """Delete and thin by rules, e.g. Keep(last=5, best=[("loss", "min", 3)]); gc frees the space.

        Never touches the newest checkpoint of a run whose stored bytes check out. agreed: the report of a dry run:
        raises ConflictError unless exactly that is to be done now.
        """
        return keep.keep(self._open_session(), policy, dry_run, agreed)

    def gc(
        self, dry_run: bool = False, grace_s: float = 60.0, expire_writers: bool = False, *, emergency: bool = False,
        max_repack_bytes: int | None = None, archive: int | None = None,
        progress: Callable[[int, int, str], None] = silent,
    ) -> reports.GcReport:  # fmt: skip
        """Free the space of everything no checkpoint needs. Safe beside savers and readers, needs no lock.

        grace_s: how long to wait for savers that began earlier (0: not at all); what they hold up, the next gc frees.
        emergency: for a full disk. max_repack_bytes: most that is moved to free more; None: a tenth of the store.
        archive: encode all but the newest so many of each run again, at the level "archive", where that saves 1 %. What
        was tried once is not tried again; without max_repack_bytes, all the rest is. It takes minutes a GiB.
        """
        session, upkeep = self._open_session(), Upkeep(max_bytes=max_repack_bytes, archive=archive)
        waiting = collector.Waiting(grace_s, expire_writers)
        if dry_run:
            return forecast.preview(session, upkeep, progress)
        return collector.collect(session, waiting, upkeep, progress, emergency)

    def verify(self, level: str = "stored") -> reports.VerifyReport:
        """Check the whole store: "structure", "stored" or "data". Reports damage, does not raise for it."""
        return verify.verify(self._open_session(), level)

    def repair(self, dry_run: bool = True) -> reports.RepairReport:
        """Make anew what can be of a damaged store, and say what is lost. Only writes new objects, deletes none.

        dry_run: only say what would be done. Where a damaged root lets nobody open a store: ckstore.repair(path).
        """
        session = self._open_session()
        session.repo.check_process()
        return mending.repair(session.repo.fs, dry_run, session.repo.readonly)

    def stats(self) -> reports.StatsReport:
        """Counts and sizes."""
        return usage.stats(self._open_session())

    def usage(self) -> reports.UsageReport:
        """What each checkpoint takes and what deleting it would free."""
        return usage.usage(self._open_session())

    def freed_by(self, refs: Iterable[str | Checkpoint]) -> reports.FreedReport:
        """What deleting these checkpoints together, then gc, would free."""
        return usage.freed_by(self._open_session(), {self._resolve(ref).id for ref in refs})

    def leaves(self, ref: str | Checkpoint) -> list[reports.LeafInfo]:
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


__all__ = ["Checkpoint", "Keep", "Store", "open", "repair"]
