"""The public face: open a store, save states into it, load them back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from ckstore.adapters import tree
from ckstore.engine import catalog, edit, gc, restore, save, usage, verify
from ckstore.engine.reports import GcReport, LeafInfo, StatsReport, UsageReport, VerifyReport
from ckstore.engine.session import Session
from ckstore.errors import StoreNotFound, UsageError
from ckstore.format.manifest import ManifestRow
from ckstore.format.records import Entry
from ckstore.store.fs import LocalFs
from ckstore.store.repository import Repository, Settings, initialize


@dataclass(frozen=True)
class Checkpoint:
    """One saved state, as the catalog knows it."""

    id: str
    run: str
    step: int
    time: datetime
    metrics: dict[str, float]
    tags: list[str]
    meta: dict[str, Any]
    logical_bytes: int
    stored_bytes: int
    """Sizes of all files that its save added."""
    parent: str | None
    """Id of the checkpoint it was saved against."""
    n_tensors: int

    @property
    def ref(self) -> str:
        """RUN@STEP, which names this checkpoint unless the step was saved again later."""
        return f"{self.run}@{self.step}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as for JSON."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"ref": self.ref, **fields, "time": self.time.isoformat()}


def _checkpoint(entry: Entry) -> Checkpoint:
    time = datetime.fromtimestamp(entry.time_ns / 1e9, UTC)
    return Checkpoint(
        entry.id.hex(), entry.run, entry.step, time, dict(entry.metrics), list(entry.tags), dict(entry.meta),
        entry.logical_bytes, entry.stored_bytes, entry.parent.hex() or None, entry.n_tensors,
    )  # fmt: skip


def open(path: str | os.PathLike[str], create: bool = False, readonly: bool = False, **settings: int) -> Store:
    """Open the store in directory `path`; with create=True make it if there is none.

    settings, used only when the store is made: chunk_elements (2^18), chain_cost_milli (8000), chain_frames (32).
    Raises StoreNotFound, UsageError, UnsupportedError (newer format), CorruptError, StorageError.
    """
    where = os.fspath(path)
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
    return Store(Session(Repository(fs, readonly)))


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

    @property
    def path(self) -> str:
        """The directory of the store."""
        return self._session.repo.fs.root

    def save(
        self, state: Any, *, step: int | None = None, run: str = "main", metrics: Mapping[str, float] | None = None,
        tags: Sequence[str] = (), meta: Mapping[str, Any] | None = None, parent: str | None = "auto",
        allow_pickle: bool = False,
    ) -> Checkpoint:  # fmt: skip
        """Save a state: dicts, lists and tuples over tensors, arrays and plain values. Durable when it returns.

        step: default is one after the run's last. parent: "auto" (the run's newest checkpoint), None (no deltas) or a
        reference. Raises UsageError naming path and type of what cannot be saved, ConflictError for a taken tag.
        """
        session = self._open_session()
        if isinstance(tags, str):
            raise UsageError("tags is a list of names, not one string")
        intent = save.Intent(run, step, _numbers(metrics), tuple(tags), dict(meta or {}), parent)
        save.check_intent(intent)
        rows = tree.flatten(state, allow_pickle=allow_pickle)
        return _checkpoint(save.save(session, rows, intent))

    def load(
        self, ref: str | Checkpoint = "latest", *, select: str | Sequence[str] | None = None, into: Any = None,
        framework: str | None = None, device: Any = None, verify: bool = True, allow_pickle: bool = False,
    ) -> Any:  # fmt: skip
        """Load a state as it was saved: same tree, same leaf types, same bits.

        select: patterns over dotted paths; only matching leaves are read. into: a state of the same tree whose tensors
        are overwritten in place. framework: "torch" or "numpy" instead of what was saved. verify: compare every chunk
        with its id. On damage raises CorruptError; with `into`, its `overwritten` lists the tensors touched by then.
        """
        session = self._open_session()
        entry = self._resolve(ref)
        patterns = [select] if isinstance(select, str) else select

        partial = patterns is not None

        def work(entry: Entry) -> Any:
            loaded = restore.load(session, entry)
            rows = loaded.rows if patterns is None else tree.select(loaded.rows, patterns)
            targets = tree.destinations(
                rows, framework=framework, device=device, into=into, allow_pickle=allow_pickle, partial=partial
            )
            wanted = [(path, target.destination) for path, target in targets.items()]
            restore.restore(session, entry, loaded, wanted, verify)
            leaves = {path: target.finish() for path, target in targets.items()}
            if into is not None:
                return tree.into_result(rows, leaves, into, allow_pickle=allow_pickle)
            return tree.build(rows, leaves, framework=framework, allow_pickle=allow_pickle, partial=partial)

        return restore.reading(session, entry, work)

    def checkpoints(self, run: str | None = None) -> list[Checkpoint]:
        """All checkpoints, or a run's, oldest first."""
        repo = self._open_session().repo
        everything = repo.at_newest(lambda root: list(catalog.entries(repo, root)))
        found = [entry for entry in everything if run in (None, entry.run)]
        return [_checkpoint(entry) for entry in reversed(found)]

    def checkpoint(self, ref: str | Checkpoint) -> Checkpoint:
        """The checkpoint a reference names; raises RefNotFound."""
        return _checkpoint(self._resolve(ref))

    def tag(self, ref: str | Checkpoint, name: str, move: bool = False) -> Checkpoint:
        """Give a checkpoint a name of its own; raises RefMoved if the name is taken, unless move=True."""
        return _checkpoint(edit.tag(self._session, self._resolve(ref), name, move))

    def untag(self, name: str) -> Checkpoint:
        """Take a tag away; raises RefNotFound if there is none of that name."""
        return _checkpoint(edit.untag(self._session, self._resolve(name), name))

    def annotate(
        self, ref: str | Checkpoint, metrics: Mapping[str, float] | None = None, meta: Mapping[str, Any] | None = None
    ) -> Checkpoint:
        """Add to (or change) the metrics and meta of a checkpoint."""
        return _checkpoint(edit.annotate(self._session, self._resolve(ref), _numbers(metrics), meta or {}))

    def delete(self, ref: str | Checkpoint) -> None:
        """Remove a checkpoint from the catalog; gc frees its space. Raises ConflictError while it has a tag."""
        edit.delete(self._session, self._resolve(ref))

    def gc(self, dry_run: bool = False, grace_s: float = 60.0, expire_writers: bool = False) -> GcReport:
        """Free the space of everything no checkpoint needs. Safe beside savers and readers, needs no lock.

        grace_s: how long to wait for savers that began earlier (0: not at all); what they hold up, the next gc frees.
        """
        session = self._open_session()
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

    def freed_by(self, refs: Iterable[str | Checkpoint]) -> int:
        """Bytes that deleting these checkpoints together, then gc, would free."""
        return usage.freed_by(self._open_session(), {self._resolve(ref).id for ref in refs})

    def leaves(self, ref: str | Checkpoint) -> list[LeafInfo]:
        """Every tensor and plain value of a checkpoint, without loading any."""
        session = self._open_session()
        return restore.reading(session, self._resolve(ref), lambda entry: usage.leaves(session, entry))

    def manifest(self, ref: str | Checkpoint) -> list[ManifestRow]:
        """The rows of a checkpoint's manifest, in tree order."""
        session = self._open_session()
        return restore.reading(session, self._resolve(ref), lambda entry: restore.load(session, entry).rows)

    def close(self) -> None:
        """Let go of threads and files. Closing twice is no error."""
        if not self._closed:
            self._closed = True
            self._session.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
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


def _numbers(metrics: Mapping[str, float] | None) -> dict[str, float]:
    """Metrics as plain floats: 0-d tensors and NumPy scalars are taken by value."""
    try:
        return {name: float(value) for name, value in (metrics or {}).items()}
    except (TypeError, ValueError) as error:
        raise UsageError(f"metrics are numbers by name: {error}") from error


__all__ = ["Checkpoint", "Store", "open"]
