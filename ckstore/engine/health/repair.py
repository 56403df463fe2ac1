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

from ckstore.engine.health import plan as planning
from ckstore.engine.health import rewrite
from ckstore.engine.health.found import WHOLE
from ckstore.engine.health.plan import Plan
from ckstore.engine.health.verify import LOOKS
from ckstore.engine.reach import ref_of
from ckstore.engine.reports import Loss, Remedy, RepairReport
from ckstore.engine.session import Session
from ckstore.store.fs import LocalFs
from ckstore.store.repository import Repository
from ckstore.store.salvage import SalvagedRoots
from ckstore.store.writer import until_not_expired


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
        return report
    finally:
        session.close()


def _look(session: Session, roots: SalvagedRoots) -> RepairReport:
    """What would be done. No lease keeps a gc from what is looked at: what it removes meanwhile is looked for again."""
    for _ in range(LOOKS):
        root = session.repo.root()
        report = _report(planning.make(session, roots, root), roots, dry_run=True)
        if report.ok or roots.newest_number() == root.number:
            break
    return report


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
    remembered = {one.entry.id for one in plan.recovered if one.remembered}
    for mended in plan.mended:
        if mended.case.relisted:
            entry = mended.case.entry
            notes = (
                "as an older root had it"
                if entry.id in remembered
                else "without metrics, tags and meta, which are lost"
            )
            found.append(Remedy(f"checkpoint {ref_of(entry)}", "nothing that reads lists it", f"listed again, {notes}"))
    return found + [
        Remedy(f"checkpoint {ref_of(entry)}", "deleted since, as it seems: its manifest is gone", "no longer listed")
        for entry in plan.dropped
    ]


def _closure_remedies(plan: Plan) -> list[Remedy]:
    found = []
    copied = {(place.pack, place.offset) for place in plan.copies}
    for mended in plan.mended:
        if not mended.case.relisted:
            name = f"closure {mended.case.entry.closure.name}"
            n_copied = sum((place.pack, place.offset) in copied for place in mended.places)
            remedy = f"made anew: {mended.n_adopted} chunks found elsewhere, {n_copied} copied to new packs"
            problem = _problem(plan, name) or f"{ref_of(mended.case.entry)} needs a damaged pack"
            found.append(Remedy(name, problem, remedy))
    return found


def _losses(plan: Plan) -> list[Loss]:
    """What cannot be read, by checkpoint."""
    found = [
        Loss(
            ref_of(entry),
            entry.id.hex(),
            [WHOLE],
            _problem(plan, f"manifest {entry.manifest.name}") or "its manifest cannot be read",
        )
        for entry in plan.without_manifest
    ]
    for mended in plan.losses:
        entry, n = mended.case.entry, len(mended.lost)
        why = f"{n} of its chunks are damaged, and there is no other copy"
        found.append(Loss(ref_of(entry), entry.id.hex(), mended.lost_tensors(), why))
    return found


def _unknown_losses(plan: Plan) -> list[Loss]:
    """Entries of lost pages that nothing else tells of."""
    listed = sum(ref.n_entries for ref in plan.lost_pages)
    missing = listed - sum(mended.case.relisted for mended in plan.mended)
    if missing <= 0:
        return []
    return [Loss("?", "", [WHOLE], f"{missing} of {listed} entries in lost pages of the catalog: no manifest is left")]
