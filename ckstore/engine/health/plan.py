"""What a repair has to do to a store, worked out without writing anything."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

from ckstore.engine import reach
from ckstore.engine.health import verify_packs
from ckstore.engine.health.adopt import Sound, sound
from ckstore.engine.health.found import Found
from ckstore.engine.health.ledger import Recovered, recover
from ckstore.engine.health.mend import Case, Mended, examine, mend
from ckstore.engine.health.scan import Place, Scan
from ckstore.engine.health.survey import Survey, survey
from ckstore.engine.parent import load_manifest
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE, CorruptError, MissingObjectError, StorageError
from ckstore.format.names import DIRECTORY, PACK, epoch_of, writer_of
from ckstore.format.records import CatalogRef, Entry, ObjectRef, Root
from ckstore.format.segment import SegmentRow
from ckstore.store.repository import Repository
from ckstore.store.salvage import SalvagedRoots


@dataclass
class Plan:
    """The survey of a root, and what is to be made anew."""

    root: Root
    seen: Survey
    past_damage: bool
    """Whether `root` stands in for a damaged newest one."""
    recovered: list[Recovered] = field(default_factory=list)
    """Those of them that are listed again are among `mended`."""
    mended: list[Mended] = field(default_factory=list)
    """Only those whose closure is made anew, relisted ones in commit order."""
    losses: list[Mended] = field(default_factory=list)
    """All that have lost chunks for good, whether they are made anew or not."""
    without_manifest: list[Entry] = field(default_factory=list)
    dropped: list[Entry] = field(default_factory=list)
    """Of these, the ones that a gc had deleted under a root that is damaged now."""
    copies: list[Place] = field(default_factory=list)
    """Frames to be copied to new packs."""
    refs: dict[str, ObjectRef] = field(default_factory=dict)
    """Every pack that may be named."""
    unlisted: list[SegmentRow] = field(default_factory=list)
    """Frames of live packs that no readable segment lists."""

    @cached_property
    def lost_pages(self) -> list[CatalogRef]:
        """Pages of the catalog that cannot be read."""
        return self.seen.lost_pages

    @cached_property
    def lost_segments(self) -> list[ObjectRef]:
        """Segments that cannot be read."""
        return self.seen.lost_segments

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.past_damage or self.lost_pages or self.lost_segments or self.mended or self.unlisted)


def make(session: Session, roots: SalvagedRoots, root: Root) -> Plan:
    """Look at everything and decide. Takes one read of the whole store."""
    repo, seen = session.repo, survey(session, root, "stored")
    plan = Plan(root, seen, roots.is_stand_in(root))
    _check_lost(repo, plan)
    if plan.past_damage or seen.lost_pages or _has_lost_roots(repo):
        plan.recovered = recover(repo, roots, root, seen, session.leases)
    live = _live_packs(repo, plan)
    _mend(repo, plan, _cases(repo, plan), live)
    _list_packs(repo, plan)
    return plan


def _check_lost(repo: Repository, plan: Plan) -> None:
    """Raise StorageError for a page that the disk refuses to read: another time it may not, and what is listed again
    without that page may have forgotten its notes."""
    for ref in plan.lost_pages:
        with suppress(CorruptError):
            repo.objects.catalog(ref.page)
            raise StorageError(f"catalog {ref.page.name} could be read the second time only: check the disk first")


def _has_lost_roots(repo: Repository) -> bool:
    """Whether a writer saw a newer root than there is: its number is in the names of what it wrote."""
    epochs = [epoch_of(writer_of(name) or "") or 0 for _, name in reach.on_disk(repo)]
    return max(epochs, default=0) > repo.roots.newest_number()


def _live_packs(repo: Repository, plan: Plan) -> set[str]:
    """Packs from which frames may be taken over as they are; fills in plan.refs."""
    plan.refs.update({row.pack.name: row.pack for rows in plan.seen.rows.values() for row in rows})
    for ref in plan.root.segments:
        with suppress(*UNREADABLE):
            plan.refs.update({pack.name: pack for pack in repo.objects.segment(ref).packs})
    live = repo.segments.live_packs(plan.root) - plan.seen.damaged_packs
    sizes = repo.fs.sizes(DIRECTORY[PACK])
    return {name for name in live if sizes.get(name) == plan.refs[name].n_bytes}


def _cases(repo: Repository, plan: Plan) -> list[Case]:
    """Every checkpoint whose closure may have to be made anew."""
    found = [Case(one.entry, one.table, [], relisted=True) for one in plan.recovered]
    for entry in plan.seen.entries:
        if entry.id in plan.seen.whole:
            continue
        try:
            table, pages = load_manifest(repo, entry, plan.root.chunk_elements)
        except UNREADABLE as error:
            plan.without_manifest.append(entry)
            if plan.past_damage and isinstance(error, MissingObjectError):
                plan.dropped.append(entry)
            continue
        found.append(Case(entry, table, pages, plan.seen.rows.get(entry.id, []), odd=entry.id in plan.seen.odd))
    for case in found:
        examine(case, plan.seen)
    return found


def _mend(repo: Repository, plan: Plan, cases: list[Case], live: set[str]) -> None:
    wanted = {chunk for case in cases for chunk in case.bad}
    scan = Scan(repo)
    places: Sound = sound(repo, scan, wanted, live) if wanted else {}
    every = [mend(case, places) for case in cases]
    kept = [mended for mended in every if not mended.case.relisted or _is_worth_listing(plan, mended)]
    if scan.refused is not None and len(kept) < len(every):
        raise scan.refused  # what is not listed now never will be
    _look_at_new_packs(repo, plan, {place.pack for mended in kept for place in mended.places} & live)
    copies = {
        (place.pack, place.offset): place
        for mended in kept for place in mended.places
        if place.chunk_id not in mended.lost and not _may_stay(plan, mended.case, place, live)
    }  # fmt: skip
    plan.copies = list(copies.values())
    plan.mended = [mended for mended in kept if mended.is_new(copies)]
    plan.losses = [mended for mended in kept if mended.lost]


def _look_at_new_packs(repo: Repository, plan: Plan, names: set[str]) -> None:
    """Survey the packs that only closures use which could not be read: what is damaged there is not taken over."""
    surveyed = {row.pack.name for rows in plan.seen.rows.values() for row in rows}
    for name in sorted(names - surveyed):
        found = Found()
        verify_packs.check(repo, plan.refs[name], plan.refs[name].n_bytes, "stored", found, plan.seen.spoilt, ())
        if found.problems:
            plan.seen.damaged_packs.add(name)


def _is_worth_listing(plan: Plan, mended: Mended) -> bool:
    """A save that never finished is no checkpoint; one of a lost page is, whatever is left of it."""
    return not mended.lost or (bool(plan.lost_pages) and bool(mended.places))


def _may_stay(plan: Plan, case: Case, place: Place, live: set[str]) -> bool:
    if place.pack in plan.seen.damaged_packs:
        return False
    return place.pack in live or any(row.pack.name == place.pack for row in case.old)


def _list_packs(repo: Repository, plan: Plan) -> None:
    """Find out which packs in use no readable segment lists, as where one was lost, and what they hold."""
    heads = [repo.objects.segment(ref) for ref in plan.root.segments if ref not in plan.lost_segments]
    listed = {pack.name for head in heads for i, pack in enumerate(head.packs) if i not in head.gone}
    used = {row.pack.name for rows in plan.seen.rows.values() for row in rows}
    copied = {(place.pack, place.offset) for place in plan.copies}
    places = (place for mended in plan.mended for place in mended.places if place.chunk_id not in mended.lost)
    used |= {place.pack for place in places if (place.pack, place.offset) not in copied}
    for name in sorted(used - listed - plan.seen.damaged_packs):
        ref = plan.refs[name]
        rows = repo.packs.table(ref)
        plan.unlisted += [SegmentRow(r.chunk_id, ref, r.offset, r.frame_bytes, r.logical_bytes) for r in rows]
