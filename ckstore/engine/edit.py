"""Changes to the catalog alone: tag, untag, annotate, delete. Each is one root step; gc frees what delete lets go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from ckstore.engine import catalog, labels
from ckstore.engine.session import Session
from ckstore.errors import ConflictError, RefNotFound, UsageError
from ckstore.format import envelope
from ckstore.format.records import Entry, Root
from ckstore.store.writer import Writer, until_not_expired

Step = Callable[[Writer, Root], Root]


def tag(session: Session, entry: Entry, name: str, move: bool) -> Entry:
    """Give a checkpoint a name of its own; raises RefMoved if the name is taken, unless `move`."""
    labels.check_tag(name)

    def step(writer: Writer, root: Root) -> Root:
        holder = catalog.tagged(session.repo, root, name)
        if holder is not None and holder.id == entry.id:
            return root
        if holder is not None and not move:
            raise catalog.taken(name, holder)
        if holder is not None:
            root = catalog.change(session.repo, writer, root, holder.id, lambda old: _without(old, name))
        return catalog.change(session.repo, writer, root, entry.id, lambda old: _fitting(old, tags=[*old.tags, name]))

    return catalog.by_id(session.repo, _commit(session, step), entry.id)


def untag(session: Session, name: str) -> Entry:
    """Take a tag away from the checkpoint that has it when this is committed; raises RefNotFound if none has."""
    held: list[Entry] = []

    def step(writer: Writer, root: Root) -> Root:
        holder = catalog.tagged(session.repo, root, name)
        if holder is None:
            raise _no_tag(session, root, name)
        held[:] = [holder]
        return catalog.change(session.repo, writer, root, holder.id, lambda old: _without(old, name))

    root = _commit(session, step)
    return catalog.by_id(session.repo, root, held[0].id)


def annotate(session: Session, entry: Entry, metrics: Any, meta: Any) -> Entry:
    """Add to, or change, the metrics and meta of a checkpoint."""
    numbers, notes = labels.checked_metrics(metrics), labels.checked_meta(meta)

    def step(writer: Writer, root: Root) -> Root:
        return catalog.change(session.repo, writer, root, entry.id, noted)

    def noted(old: Entry) -> Entry:
        meta = envelope.decode_map(old.meta, f"checkpoint {old.id.hex()[:12]}")
        return _fitting(old, metrics={**old.metrics, **numbers}, meta=envelope.encode_map({**meta, **notes}))

    return catalog.by_id(session.repo, _commit(session, step), entry.id)


def delete(session: Session, entry: Entry) -> None:
    """Drop a checkpoint from the catalog; raises ConflictError while it has a tag."""
    _commit(session, lambda writer, root: catalog.change(session.repo, writer, root, entry.id, _dropped))


def _dropped(old: Entry) -> None:
    if old.tags:
        name = f"{old.run}@{old.step}"
        raise ConflictError(f"{name} is tagged {', '.join(old.tags)}: untag it first (`ckstore untag`)")


def _without(entry: Entry, name: str) -> Entry:
    return replace(entry, tags=[tag for tag in entry.tags if tag != name])


def _fitting(entry: Entry, **changes: Any) -> Entry:
    """`entry` changed; UsageError if it were too large then."""
    labels.check_size(**{"metrics": entry.metrics, "tags": entry.tags, "meta": entry.meta, **changes})
    return replace(entry, **changes)


def _no_tag(session: Session, root: Root, name: str) -> RefNotFound | UsageError:
    try:
        catalog.resolve(session.repo, root, name)
    except RefNotFound as error:
        return error
    return UsageError(f"{name!r} is a reference, but not a tag")


def _commit(session: Session, step: Step) -> Root:
    return until_not_expired(lambda: _attempt(session, step))


def _attempt(session: Session, step: Step) -> Root:
    with session.repo.writer() as writer:
        return writer.commit(lambda root: step(writer, root), {})
