"""A checkpoint → a state: rows, targets for their bytes, leaves, tree. What Store.load and Store.arrays do."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ckstore.adapters import tree
from ckstore.adapters.rows import LoadedRow
from ckstore.engine import restore
from ckstore.engine.health import intact
from ckstore.engine.reach import ref_of
from ckstore.engine.session import Session
from ckstore.errors import CorruptError, DamageWarning
from ckstore.format.manifest import Table
from ckstore.format.records import Entry
from ckstore.tensor import Path, dotted


@dataclass(frozen=True, slots=True)
class How:
    """How a state is wanted; the fields are the arguments of Store.load."""

    select: str | Sequence[str] | None = None
    into: Any = None
    framework: str | None = None
    device: Any = None
    verify: bool = True
    allow_pickle: bool = False
    partial: bool = False


def load(session: Session, entry: Entry, how: How) -> Any:
    """The state of a checkpoint, or its intact part with a DamageWarning. Raises CorruptError, UsageError."""
    missing: dict[Path, str] = {}

    def work(entry: Entry) -> Any:
        missing.clear()
        table = restore.load(session, entry)
        every = [row for row, _ in table]
        rows = every if how.select is None else tree.select(every, how.select)
        if how.partial:
            rows, lost = intact.without(rows, intact.damaged(session, entry, table, rows))
            missing.update(lost)
            _check_some(entry, rows, missing)
        return _load(session, entry, table, rows, how)

    state = restore.reading(session, entry, work)
    if missing:
        _warn(entry, missing)
    return state


def _load(session: Session, entry: Entry, table: Table, rows: Sequence[LoadedRow], how: How) -> Any:
    some = how.partial or how.select is not None
    targets = tree.destinations(
        rows, framework=how.framework, device=how.device, into=how.into, allow_pickle=how.allow_pickle, partial=some,
        chunk_ids={row.path: columns.chunk_ids for row, columns in table},
    )  # fmt: skip
    leaves = _read(session, entry, table, targets, how.verify)
    if how.into is not None:
        return tree.into_result(rows, leaves, how.into, allow_pickle=how.allow_pickle)
    return tree.build(rows, leaves, framework=how.framework, allow_pickle=how.allow_pickle, partial=some)


def arrays(session: Session, entry: Entry, select: str | Sequence[str] | None) -> Any:
    """The arrays of a checkpoint, and None for whatever is none."""

    def work(entry: Entry) -> Any:
        table = restore.load(session, entry)
        rows = tree.arrays_only([row for row, _ in table])
        rows = rows if select is None else tree.select(rows, select)
        targets = tree.destinations(rows, framework="numpy", partial=True)
        leaves = _read(session, entry, table, targets, verify=True)
        return tree.build(rows, leaves, framework="numpy", partial=select is not None)

    return restore.reading(session, entry, work)


def _read(
    session: Session, entry: Entry, table: Table, targets: Mapping[Path, tree.Target], verify: bool
) -> dict[Path, Any]:
    """The finished tensors of a checkpoint, by path."""
    wanted = [(path, target.destination) for path, target in targets.items()]
    restore.restore(session, entry, table, wanted, verify)
    return {path: target.finish() for path, target in targets.items()}


def _check_some(entry: Entry, rows: Sequence[LoadedRow], missing: Mapping[Path, str]) -> None:
    """Raise CorruptError if nothing is left to load: an empty state must not look like one that was saved."""
    if missing and not any(row.path for row in rows):
        path, why = next(iter(missing.items()))
        raise CorruptError(f"{ref_of(entry)}: nothing of what was asked for is intact: {dotted(path)}: {why}")


def _warn(entry: Entry, missing: Mapping[Path, str]) -> None:
    named = {dotted(path): why for path, why in missing.items()}
    path, why = next(iter(named.items()))
    more = f" and {len(named) - 1} more" if len(named) > 1 else ""
    message = f"{ref_of(entry)} is damaged: left out {path} ({why}){more}; try `ckstore repair`"
    warnings.warn(DamageWarning(message, named), stacklevel=4)
