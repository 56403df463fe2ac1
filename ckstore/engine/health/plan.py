"""What a repair has to do to a store, worked out without writing anything."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ckstore.engine import reach
from ckstore.engine.health import gaps, touched, verify_packs
from ckstore.engine.health.adopt import Sound, sound
from ckstore.engine.health.found import WHOLE, Found, Survey
from ckstore.engine.health.ledger import Ledger, recover
from ckstore.engine.health.mend import Case, Known, Mended, case_of, mend
from ckstore.engine.health.numbered import Numbers
from ckstore.engine.health.scan import Place, Scan
from ckstore.engine.health.survey import survey
from ckstore.engine.parent import load_manifest
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE, CorruptError, MissingObjectError, StorageError, WriterExpired
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
    ledger: Ledger = field(default_factory=lambda: Ledger([], [], set()))
    """Those of its recovered that are listed again are among `mended`."""
    page_of: dict[bytes, str] = field(default_factory=dict)
    """The lost page in whose place one of these comes, by id."""
    mended: list[Mended] = field(default_factory=list)
    """Only those whose closure is made anew, relisted ones in commit order."""
    losses: list[Mended] = field(default_factory=list)
    """All that have lost chunks for good, whether they are made anew or not."""
    without_manifest: list[Entry] = field(default_factory=list)
    dropped: list[Entry] = field(default_factory=list)
    """Of these, the ones that a gc had deleted under a root that is damaged now."""
    known: Known = field(default_factory=Known)
    copies: list[Place] = field(default_factory=list)
    """Frames to be copied to new packs."""
    copied: Numbers = field(default_factory=lambda: np.empty(0, np.uint32))
    """Places whose frames are among `copies`."""
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
    root = seen.root
    if not seen.is_settled:
        raise WriterExpired("a gc went on at every look: repair the store when less is done to it")
    plan = Plan(root, seen, roots.is_stand_in(root))
    _check_lost(repo, plan)
    lost_roots = plan.past_damage or _has_lost_roots(repo)
    if lost_roots or seen.lost_pages:
        plan.ledger = recover(repo, roots, root, seen, session.leases)
        plan.page_of = gaps.pages_of(repo, root, seen.lost_pages, plan.ledger.recovered, lost_roots)
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
    plan.refs.update(plan.seen.packs)
    for ref in plan.root.segments:
        with suppress(*UNREADABLE):
            plan.refs.update({pack.name: pack for pack in repo.objects.segment(ref).packs})
    live = repo.segments.live_packs(plan.root) - plan.seen.damaged_packs
    sizes = repo.fs.sizes(DIRECTORY[PACK])
    return {name for name in live if sizes.get(name) == plan.refs[name].n_bytes}


def _cases(repo: Repository, plan: Plan) -> list[Case]:
    """Every checkpoint whose closure may have to be made anew."""
    found = [_relisted(repo, plan, one.entry) for one in plan.ledger.recovered]
    for entry in plan.seen.entries:
        if entry.id in plan.seen.whole:
            continue
        try:
            table, _ = load_manifest(repo, entry, plan.root.chunk_elements)
        except UNREADABLE as error:
            plan.without_manifest.append(entry)
            if plan.past_damage and isinstance(error, MissingObjectError):
                plan.dropped.append(entry)
            continue
        found.append(case_of(entry, table, plan.seen.rows(repo, entry), plan.seen, plan.known))
    return found


def _relisted(repo: Repository, plan: Plan, entry: Entry) -> Case:
    table, _ = load_manifest(repo, entry, plan.root.chunk_elements)
    return case_of(entry, table, [], plan.seen, plan.known, relisted=True)


def _mend(repo: Repository, plan: Plan, cases: list[Case], live: set[str]) -> None:
    wanted = {chunk for case in cases for chunk in plan.known.chunks.at(case.bad)}
    scan = Scan(repo)
    places: Sound = sound(repo, scan, wanted, live) if wanted else {}
    every = [mend(case, places, plan.known) for case in cases]
    late = {one.entry.id for one in plan.ledger.recovered if one.late}
    kept = [mended for mended in every if not mended.case.relisted or _is_worth_listing(plan, mended, late)]
    if scan.refused is not None and len(kept) < len(every):
        raise scan.refused  # what is not listed now never will be
    at = plan.known.places.at
    _look_at_new_packs(repo, plan, {place.pack for mended in kept for place in at(mended.places)} & live)
    copies = {(place.pack, place.offset): place for mended in kept for place in _leaving(plan, mended, live)}
    plan.copies = list(copies.values())
    every_place = enumerate(plan.known.places.items)
    plan.copied = np.array([i for i, place in every_place if (place.pack, place.offset) in copies], np.uint32)
    plan.mended = [mended for mended in kept if mended.is_new(plan.copied)]
    plan.losses = [mended for mended in kept if len(mended.lost)]
    for mended in plan.losses:
        mended.lost_tensors = _lost_tensors(repo, plan, mended)


def _look_at_new_packs(repo: Repository, plan: Plan, names: set[str]) -> None:
    """Survey the packs that only closures use which could not be read: what is damaged there is not taken over."""
    for name in sorted(names - plan.seen.packs.keys()):
        found = Found()
        verify_packs.check(repo, plan.refs[name], plan.refs[name].n_bytes, "stored", found, plan.seen.spoilt, ())
        if found.problems:
            plan.seen.damaged_packs.add(name)


def _is_worth_listing(plan: Plan, mended: Mended, late: AbstractSet[bytes]) -> bool:
    """A save that never finished is no checkpoint; one of a lost page is, whatever is left of it."""
    of_page = bool(plan.lost_pages) and mended.case.entry.id not in late
    return not len(mended.lost) or (of_page and len(mended.places) > 0)


def _leaving(plan: Plan, mended: Mended, live: set[str]) -> list[Place]:
    """The frames of a closure that cannot stay where they are."""
    own = {place.pack for place in plan.known.places.at(mended.case.old)}
    stay = (own | live) - plan.seen.damaged_packs
    return [place for place in plan.known.places.at(mended.places) if place.pack not in stay]


def _lost_tensors(repo: Repository, plan: Plan, mended: Mended) -> list[str]:
    """Dotted paths of the tensors that cannot be read."""
    lost = set(plan.known.chunks.at(mended.lost))
    try:
        table, _ = load_manifest(repo, mended.case.entry, plan.root.chunk_elements)
    except UNREADABLE:  # it could be read a moment ago
        return [WHOLE]
    return touched.tensors(table, lambda chunk: ("",) if chunk in lost else ()).get("", [])


def _list_packs(repo: Repository, plan: Plan) -> None:
    """Find out which packs in use no readable segment lists, as where one was lost, and what they hold."""
    heads = [repo.objects.segment(ref) for ref in plan.root.segments if ref not in plan.lost_segments]
    listed = {pack.name for head in heads for pack in head.packs_left}
    used = set(plan.seen.packs)
    for mended in plan.mended:
        used |= {place.pack for place in plan.known.places.at(np.setdiff1d(mended.places, plan.copied))}
    for name in sorted(used - listed - plan.seen.damaged_packs):
        ref = plan.refs[name]
        rows = repo.packs.table(ref)
        plan.unlisted += [SegmentRow(r.chunk_id, ref, r.offset, r.frame_bytes, r.logical_bytes) for r in rows]
