"""Changes to the catalog alone: tag, untag, annotate, delete. Each is one root step; gc frees what delete lets go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ckstore.engine import catalog
from ckstore.engine.session import Session
from ckstore.errors import ConflictError, UsageError
from ckstore.format.records import Entry, Root
from ckstore.store.writer import until_not_expired

Edit = Callable[[Root, bytes, Callable[[Entry], Entry | None]], Root]
"""edit(root, checkpoint id, change): `root` with that entry changed, or dropped where `change` returns None."""


def tag(session: Session, entry: Entry, name: str, move: bool) -> Entry:
    """Give a checkpoint a name of its own; raises RefMoved if the name is taken, unless `move`."""
    catalog.check_tag(name)

    def change(root: Root, edit: Edit) -> Root:
        holder = next((other for other in catalog.entries(session.repo, root) if name in other.tags), None)
        if holder is not None and holder.id == entry.id:
            return root
        if holder is not None and not move:
            raise catalog.taken(name, holder)
        if holder is not None:
            root = edit(root, holder.id, lambda old: _without(old, name))
        return edit(root, entry.id, lambda old: msgspec.structs.replace(old, tags=[*old.tags, name]))

    return _changed(session, entry, change)


def untag(session: Session, entry: Entry, name: str) -> Entry:
    """Take a tag away from the checkpoint that has it."""
    if name not in entry.tags:
        raise UsageError(f"{name!r} is a reference, but not a tag")
    return _changed(session, entry, lambda root, edit: edit(root, entry.id, lambda old: _without(old, name)))


def _without(entry: Entry, name: str) -> Entry:
    return msgspec.structs.replace(entry, tags=[tag for tag in entry.tags if tag != name])


def annotate(session: Session, entry: Entry, metrics: Mapping[str, float], meta: Mapping[str, Any]) -> Entry:
    """Add to, or change, the metrics and meta of a checkpoint."""

    def edited(old: Entry) -> Entry:
        new = msgspec.structs.replace(old, metrics={**old.metrics, **metrics}, meta={**old.meta, **meta})
        catalog.check_entry(new)
        return new

    return _changed(session, entry, lambda root, edit: edit(root, entry.id, edited))


def delete(session: Session, entry: Entry) -> None:
    """Drop a checkpoint from the catalog; raises ConflictError while it has a tag."""

    def dropped(old: Entry) -> None:
        if old.tags:
            name = f"{old.run}@{old.step}"
            raise ConflictError(f"{name} is tagged {', '.join(old.tags)}: untag it first (`ckstore untag`)")

    _commit(session, lambda root, edit: edit(root, entry.id, dropped))


def _changed(session: Session, entry: Entry, change: Callable[[Root, Edit], Root]) -> Entry:
    return catalog.by_id(session.repo, _commit(session, change), entry.id)


def _commit(session: Session, change: Callable[[Root, Edit], Root]) -> Root:
    return until_not_expired(lambda: _attempt(session, change))


def _attempt(session: Session, change: Callable[[Root, Edit], Root]) -> Root:
    with session.repo.writer() as writer:

        def edit(root: Root, which: bytes, how: Callable[[Entry], Entry | None]) -> Root:
            return catalog.change(session.repo, writer, root, which, how)

        return writer.commit(lambda root: change(root, edit), {})
