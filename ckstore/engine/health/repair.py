"""repair(): make anew what can be made anew of a damaged store, and say what is lost. Writes new objects, deletes none.

Damaged files stay where they are until nothing names them and a gc removes them. In one root step:

- past a damaged newest root: the newest older one that reads is published again under a new number (salvage.py), with
  the checkpoints that were saved since, where these are whole (ledger.py);
- a lost page of the catalog: its entries, from older roots or from manifests on disk (ledger.py);
- a closure that is damaged, or that needs a damaged frame: a new one, with other copies of those chunks (scan.py,
  adopt.py, mend.py), and without any damaged pack where it can be;
- a lost segment: a new one from the tables of the packs it must have listed (plan.py).
"""

from __future__ import annotations

import numpy as np

from ckstore.engine import catalog
from ckstore.engine.health import plan as planning
from ckstore.engine.health import rewrite
from ckstore.engine.health.found import WHOLE
from ckstore.engine.health.plan import Plan
from ckstore.engine.reach import ref_of
from ckstore.engine.reports import Loss, Remedy, RepairReport
from ckstore.engine.republish import unchanged
from ckstore.engine.session import Session
from ckstore.format.records import Entry, Root
from ckstore.store.fs import LocalFs
from ckstore.store.repository import Repository
from ckstore.store.salvage import SalvagedRoots
from ckstore.store.writer import until_not_expired

FORGOTTEN = "without metrics, tags and meta, which are lost"
NOTES = "its metrics, tags and meta, if it had any: tag it before the next `ckstore keep` if it must stay"
DOUBTFUL = "nothing tells whether it was deleted long ago, or never saved to the end"


def repair(fs: LocalFs, dry_run: bool, readonly: bool = False) -> RepairReport:
    """Repair the store in a directory, or with dry_run only say what would be done.

    Raises CorruptError if no root can be read at all, UnsupportedError, StorageError, UsageError (readonly).
    """
    return until_not_expired(lambda: _attempt(fs, dry_run, readonly))


def _attempt(fs: LocalFs, dry_run: bool, readonly: bool) -> RepairReport:
    session = Session(Repository(fs, readonly or dry_run, SalvagedRoots))  # what others have cached says nothing
    roots = session.repo.roots
    assert isinstance(roots, SalvagedRoots)
    try:
        if dry_run:
            return _look(session, roots)
        with session.repo.writer() as writer:
            plan = planning.make(session, roots, writer.root)
            report = _report(plan, roots, dry_run)
            if not plan.is_empty:
                rewrite.apply(session.repo, writer, plan)
            else:
                writer.commit(lambda root: root, {})  # WriterExpired if a gc may have removed what was looked at
        return report
    finally:
        session.close()


def _look(session: Session, roots: SalvagedRoots) -> RepairReport:
    """What would be done. No lease keeps a gc from what is looked at: what it removes meanwhile needs no repair."""

    def look(root: Root) -> RepairReport:
        plan = planning.make(session, roots, root)
        _forget_gone(session.repo, plan)
        return _report(plan, roots, dry_run=True)

    return session.repo.at_newest(look)


def _forget_gone(repo: Repository, plan: Plan) -> None:
    """Take out checkpoints that were deleted or got other objects since they were surveyed."""
    newest = repo.root()
    if newest.number == plan.root.number:
        return
    now = {entry.id: entry for entry in catalog.readable(repo, newest)}

    def is_there(entry: Entry) -> bool:
        return entry.id in now and unchanged(now[entry.id], entry)

    plan.without_manifest = [entry for entry in plan.without_manifest if is_there(entry)]
    plan.mended = [one for one in plan.mended if one.case.relisted or is_there(one.case.entry)]
    plan.losses = [one for one in plan.losses if one.case.relisted or is_there(one.case.entry)]


def _report(plan: Plan, roots: SalvagedRoots, dry_run: bool) -> RepairReport:
    remedies = [*_root_remedies(plan, roots), *_catalog_remedies(plan), *_closure_remedies(plan)]
    remedies += [
        Remedy(f"segment {ref.name}", _problem(plan, f"segment {ref.name}"), "its chunks are listed anew")
        for ref in plan.lost_segments
    ]
    if plan.unlisted and not plan.lost_segments:
        packs = len({row.pack.name for row in plan.unlisted})
        remedies.append(Remedy("segments", f"none lists {packs} packs that are in use", "they are listed anew"))
    losses = [*_losses(plan), *_unknown_losses(plan)]
    return RepairReport(
        dry_run, not remedies and not losses, plan.root.number, remedies, losses,
        sum(place.frame_bytes for place in plan.copies),
    )  # fmt: skip


def _problem(plan: Plan, name: str) -> str:
    return plan.seen.found.problems.get(name, "")


def _root_remedies(plan: Plan, roots: SalvagedRoots) -> list[Remedy]:
    if not plan.past_damage:
        return []
    lost = f"root {roots.lost}" if roots.stand_in + 1 == roots.lost else f"roots {roots.stand_in + 1} to {roots.lost}"
    remedy = f"root {roots.stand_in} takes its place; what else {lost} changed is lost: tags, notes, deletions"
    return [Remedy(f"root {roots.lost}", str(roots.damaged), remedy)]


def _catalog_remedies(plan: Plan) -> list[Remedy]:
    found = [
        Remedy(
            f"catalog {ref.page.name}",
            _problem(plan, f"catalog {ref.page.name}"),
            f"its {ref.n_entries} entries are looked for",
        )
        for ref in plan.lost_pages
    ]
    forgotten = {entry.id for entry in _forgotten(plan)}
    for mended in plan.mended:
        if mended.case.relisted:
            entry = mended.case.entry
            notes = FORGOTTEN if entry.id in forgotten else "as an older root had it"
            notes += f"; {DOUBTFUL}" if entry.id in _doubtful(plan) else ""
            found.append(Remedy(f"checkpoint {ref_of(entry)}", "nothing that reads lists it", f"listed again, {notes}"))
    found += [
        Remedy(f"checkpoint {ref_of(entry)}", "only its manifest is left, which others share", "left deleted")
        for entry in (plan.ledger.deleted if plan.past_damage else ())
    ]
    return found + [
        Remedy(f"checkpoint {ref_of(entry)}", "deleted since, as it seems: its manifest is gone", "no longer listed")
        for entry in plan.dropped
    ]


def _closure_remedies(plan: Plan) -> list[Remedy]:
    found = []
    for mended in plan.mended:
        if not mended.case.relisted:
            name = f"closure {mended.case.entry.closure.name}"
            n_copied = int(np.isin(mended.places, plan.copied).sum())
            remedy = f"made anew: {mended.n_adopted} chunks found elsewhere, {n_copied} copied to new packs"
            problem = _problem(plan, name) or f"{ref_of(mended.case.entry)} needs a damaged pack"
            found.append(Remedy(name, problem, remedy))
    return found


def _losses(plan: Plan) -> list[Loss]:
    """What cannot be read, by checkpoint."""
    found = [Loss(ref_of(entry), entry.id.hex(), [WHOLE], _why(plan, entry)) for entry in plan.without_manifest]
    for mended in plan.losses:
        entry, n = mended.case.entry, len(mended.lost)
        why = f"{n} of its chunks are damaged, and there is no other copy"
        found.append(Loss(ref_of(entry), entry.id.hex(), mended.lost_tensors, why))
    return found + [Loss(ref_of(entry), entry.id.hex(), [], NOTES) for entry in _forgotten(plan)]


def _why(plan: Plan, entry: Entry) -> str:
    """Why nothing of a checkpoint can be read."""
    why = _problem(plan, f"manifest {entry.manifest.name}") or "its manifest cannot be read"
    if entry.id not in plan.seen.odd or entry in plan.dropped:
        return why
    closure = f"closure {entry.closure.name}"
    problem = _problem(plan, closure) or f"{closure} cannot be read"
    return f"{why}; {problem}: put one of the two back, or delete the checkpoint, for gc cannot go on without"


def _forgotten(plan: Plan) -> list[Entry]:
    """Checkpoints listed again of which no root tells what notes they had."""
    remembered = {one.entry.id for one in plan.ledger.recovered if one.remembered}
    relisted = (mended.case.entry for mended in plan.mended if mended.case.relisted)
    return [entry for entry in relisted if entry.id not in remembered]


def _unknown_losses(plan: Plan) -> list[Loss]:
    """Entries of lost pages that nothing else tells of."""
    listed = sum(ref.n_entries for ref in plan.lost_pages)
    found = sum(mended.case.entry.id in plan.page_of for mended in plan.mended)
    doubtful = _doubtful(plan)
    missing = listed - found + len(doubtful)
    if missing <= 0:
        return []
    why = f"{missing} of {listed} entries in lost pages of the catalog: no manifest is left"
    why += f", or it is among the {len(doubtful)} listed again of which {DOUBTFUL}" if doubtful else ""
    return [Loss("?", "", [WHOLE], why)]


def _doubtful(plan: Plan) -> set[bytes]:
    """Checkpoints listed again in the place of a lost page that may not have been in it."""
    return {
        mended.case.entry.id
        for mended in plan.mended
        if mended.case.entry.id in plan.ledger.doubtful & plan.page_of.keys()
    }
