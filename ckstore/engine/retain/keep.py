"""keep(): a policy applied to published checkpoints. One root step deletes, one more thins; gc frees the bytes.

Why nobody's checkpoint vanishes by surprise: the choice is made again for every root that a step extends, so what was
tagged, measured or saved meanwhile counts. What the policy does not touch under that very root stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from ckstore.engine import catalog
from ckstore.engine.reach import Needs, Object, ref_of
from ckstore.engine.reports import KeepReport
from ckstore.engine.retain import rest, room, sound, thin
from ckstore.engine.retain.choice import DELETED, KEPT, THINNED, Choice, Facts, choose
from ckstore.engine.retain.policy import Keep
from ckstore.engine.retain.thin import Thinned
from ckstore.engine.session import Session
from ckstore.errors import ConflictError, CorruptError, NotFoundError, StorageError, UsageError, WriterExpired
from ckstore.format.records import CatalogRef, Entry, ObjectRef, Root
from ckstore.store.repository import Repository
from ckstore.store.writer import Writer, until_not_expired

_Version = tuple[bytes, ObjectRef, ObjectRef]
"""A checkpoint as it is now: id, manifest, closure."""


def keep(
    session: Session, policy: Keep, dry_run: bool = False, agreed: KeepReport | None = None,
    clock: Callable[[], float] = time.time,
) -> KeepReport:  # fmt: skip
    """Apply a policy; what it did. DURABLE when it returns.

    agreed: a dry run's report: raises ConflictError unless exactly that is to be deleted and thinned at its time.
    clock: seconds since 1970; read once. Raises UsageError, CorruptError, StorageError.
    """
    if not isinstance(policy, Keep):
        raise UsageError(f"keep() takes a policy, ckstore.Keep(last=5, …), not {policy!r:.200}")
    with session.uninterrupted() as mine:
        look = _Look(mine.repo, policy, agreed.time if agreed else clock())  # what expires while a person thinks stays
        if dry_run:
            return mine.repo.at_newest(look.choice).report(dry_run=True)
        choice = until_not_expired(lambda: _delete(look, agreed))
        if choice.of(THINNED):
            until_not_expired(lambda: _thin(look, choice))
        return choice.report(dry_run=False)


class _Look:
    """One policy on one store, for as many roots as it takes. What was read of a checkpoint is not read again."""

    def __init__(self, repo: Repository, policy: Keep, now: float) -> None:
        self.repo, self.policy, self._now = repo, policy, now
        self._needs = Needs(repo)
        self._problems: dict[_Version, str | None] = {}
        self._thinned: dict[_Version, Collection[Object] | None] = {}

    def choice(self, root: Root) -> Choice:
        """The choice under a root."""
        entries = list(catalog.entries(self.repo, root))[::-1]
        space, unknown = room.of_root(self.repo, root, entries, self._needs)
        return choose(entries, self.policy, self._now, Facts(self._problem, self._rest, space, unknown))

    def _problem(self, entry: Entry) -> str | None:
        version = entry.id, entry.manifest, entry.closure
        if version not in self._problems:
            self._problems[version] = sound.problem(self.repo, entry)
        return self._problems[version]

    def _rest(self, entry: Entry) -> Collection[Object] | None:
        version = entry.id, entry.manifest, entry.closure
        if version not in self._thinned:
            try:
                left = rest.of_entry(self.repo, entry, self.policy.thin)
                self._thinned[version] = rest.needs(entry, left)
            except (NotFoundError, UsageError, CorruptError, StorageError):  # nothing to drop, or not to be done
                self._thinned[version] = None
        return self._thinned[version]


def _delete(look: _Look, agreed: KeepReport | None) -> Choice:
    """One root step for all that goes; the choice as it was made for the root that this step extended."""
    made: list[Choice] = []
    pages: dict[frozenset[bytes], dict[str, CatalogRef]] = {}

    def change(writer: Writer, base: Root) -> Root:
        choice = look.choice(base)
        made[:] = [choice]
        if agreed is not None:
            _compare(choice.report(dry_run=False), agreed)
        gone = frozenset(entry.id for entry in choice.of(DELETED))
        return catalog.change_many(look.repo, writer, base, gone, lambda _: None, pages.setdefault(gone, {}))

    with look.repo.writer() as writer:
        writer.commit(lambda base: change(writer, base), {})
    return made[0]


def _compare(now: KeepReport, agreed: KeepReport) -> None:
    """Raise ConflictError unless the two reports do the same."""
    changed = {(one.id, one.action) for one in now.checkpoints if one.action != KEPT}
    changed ^= {(one.id, one.action) for one in agreed.checkpoints if one.action != KEPT}
    if changed:
        n = len({key for key, _ in changed})
        raise ConflictError(f"the store was changed: {n} checkpoints would fare otherwise now; look at a new dry run")


def _thin(look: _Look, chosen: Choice) -> None:
    """One root step for all that is thinned. What others have changed since the choice may be spared by it."""
    with look.repo.writer() as writer:
        still = {entry.id for entry in look.choice(writer.root).of(THINNED)}
        made = _written(look, writer, [entry.id for entry in chosen.of(THINNED) if entry.id in still])
        due: set[bytes] = set()

        def edit(old: Entry) -> Entry:
            if not made[old.id].is_of(old):
                raise WriterExpired(f"{ref_of(old)} got other objects while it was thinned: begin again")
            return made[old.id].change(old)

        def change(base: Root) -> Root:
            due.clear()
            due.update(entry.id for entry in look.choice(base).of(THINNED) if entry.id in made)
            return catalog.change_many(look.repo, writer, base, due, edit, {})

        writer.commit(change, {key: () for one in made.values() for key in one.holders})
    for entry in chosen.of(THINNED):
        if entry.id not in due:
            chosen.actions[entry.id] = KEPT
            chosen.reasons[entry.id].append("not thinned after all: the store was changed meanwhile")


def _written(look: _Look, writer: Writer, wanted: Sequence[bytes]) -> dict[bytes, Thinned]:
    """The new manifests and closures of checkpoints, oldest first: a child may share pages with its thinned parent."""
    entries = {entry.id: entry for entry in catalog.entries(look.repo, writer.root)}
    made: dict[bytes, Thinned] = {}
    for key in wanted:
        entry = entries[key]
        parent = made[entry.parent].entry if entry.parent in made else entries.get(entry.parent)
        left = rest.of_entry(look.repo, entry, look.policy.thin)
        made[key] = thin.put(look.repo, writer, entry, left, look.policy.thin, parent)
    return made
