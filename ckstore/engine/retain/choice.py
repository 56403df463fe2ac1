"""What a policy does to the checkpoints of one root: which stay, which go, which are thinned, and why.

INVARIANT: of each run in which anything goes or is thinned, the newest checkpoint that checks out stays as it is; and
so does everything of a run in which nothing checks out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from ckstore.engine.reach import Object, ref_of
from ckstore.engine.reports import KeepReport, Kept
from ckstore.engine.retain import rules
from ckstore.engine.retain.policy import Keep
from ckstore.engine.retain.room import Room
from ckstore.engine.retain.rules import Reasons
from ckstore.errors import CorruptError
from ckstore.format.records import Entry

KEPT, DELETED, THINNED = "kept", "deleted", "thinned"


@dataclass(frozen=True)
class Facts:
    """What the catalog does not say of its checkpoints.

    problem: what is damaged in a checkpoint, None: it checks out. thinned: the objects it would need without what the
    policy drops, None: there is nothing to drop. Both cost reads, and are asked only where it matters.
    """

    problem: Callable[[Entry], str | None]
    thinned: Callable[[Entry], Collection[Object] | None]
    room: Room
    unknown: Collection[Entry] = ()
    """Checkpoints whose closures cannot be read."""


@dataclass
class Choice:
    """What is to become of each checkpoint, oldest first."""

    entries: Sequence[Entry]
    reasons: Reasons
    actions: dict[bytes, str]
    now: float
    """Seconds since 1970."""
    protected: set[bytes] = field(default_factory=set)
    freed_bytes: int = 0
    over_quota_bytes: int = 0

    def of(self, *actions: str) -> list[Entry]:
        """The checkpoints that one of these is done to."""
        return [entry for entry in self.entries if self.actions[entry.id] in actions]

    def report(self, dry_run: bool) -> KeepReport:
        """The choice as users see it."""
        listed = [
            Kept(ref_of(entry), entry.id.hex(), self.actions[entry.id], self.reasons[entry.id])
            for entry in self.entries
        ]
        return KeepReport(dry_run, listed, self.freed_bytes, self.over_quota_bytes, self.now)


def choose(entries: Sequence[Entry], policy: Keep, now: float, facts: Facts) -> Choice:
    """Apply a policy to all checkpoints of a root, oldest first. now: seconds since 1970.

    Raises CorruptError if there is a quota, and a closure that cannot be read keeps gc from freeing anything.
    """
    mine = [entry for entry in entries if policy.run in (None, entry.run)]
    reasons = rules.reasons(mine, policy, now)
    choice = Choice(mine, reasons, {entry.id: KEPT if reasons[entry.id] else DELETED for entry in mine}, now)
    for entry in rules.to_thin(mine, policy, reasons):
        choice.actions[entry.id] = THINNED
    _protect(choice, {entry.run for entry in choice.of(DELETED, THINNED)}, facts)
    before = facts.room.n_bytes
    _make_room(choice, policy, facts)
    if policy.quota_bytes is not None and facts.room.n_bytes > policy.quota_bytes:
        _check_known(choice, facts)
        _meet_quota(choice, policy.quota_bytes, facts)
    choice.freed_bytes = before - facts.room.n_bytes
    for entry in choice.of(DELETED):
        choice.reasons[entry.id] = choice.reasons[entry.id] or ["no rule keeps it"]
    return choice


def _protect(choice: Choice, runs: Collection[str], facts: Facts) -> None:
    """Find the newest checkpoint of each run that checks out, and let nothing happen to it."""
    for run, mine in rules.by_run(choice.entries).items():
        if run not in runs or any(entry.id in choice.protected for entry in mine):
            continue
        newest = _newest_whole(choice, mine, facts)
        for entry in mine if newest is None else [newest]:
            choice.protected.add(entry.id)
            choice.actions[entry.id] = KEPT
            found = f"nothing of run {run} checks out" if newest is None else f"newest of run {run} that checks out"
            choice.reasons[entry.id].append(found)


def _newest_whole(choice: Choice, mine: Iterable[Entry], facts: Facts) -> Entry | None:
    for entry in reversed(list(mine)):
        problem = facts.problem(entry)
        if problem is None:
            return entry
        if choice.actions[entry.id] != DELETED:  # a reason to keep it must not be made of this
            choice.reasons[entry.id].append(f"damaged: {problem}")
    return None


def _make_room(choice: Choice, policy: Keep, facts: Facts) -> None:
    """Take out what the rules delete and thin."""
    for entry in choice.of(DELETED):
        facts.room.remove(entry.id)
    for entry in choice.of(THINNED):
        objects = facts.thinned(entry)
        if objects is None:
            choice.actions[entry.id] = KEPT
            continue
        facts.room.change(entry.id, objects)
        choice.reasons[entry.id].append(f"thinned: older than the newest {policy.whole} kept")


def _check_known(choice: Choice, facts: Facts) -> None:
    for entry in facts.unknown:
        if choice.actions.get(entry.id, KEPT) != DELETED:
            ref = ref_of(entry)
            message = f"what {ref} needs cannot be read: while it is there gc frees nothing and no quota can be met"
            raise CorruptError(f"{message}; `ckstore repair`, or delete {ref}", object=f"closure {entry.closure.name}")


def _meet_quota(choice: Choice, quota_bytes: int, facts: Facts) -> None:
    """Delete the oldest until the store fits; but none without which it fits as well, or that would free no pack.

    Where deltas share packs, a deletion frees next to nothing until the last user of a pack goes. So the oldest are
    taken in order first, and then, from the newest on, those are given back whose bytes are needed by others anyway.
    """
    _protect(choice, {entry.run for entry in choice.entries}, facts)
    room, gone = facts.room, []
    for entry in choice.of(KEPT, THINNED):
        if room.n_bytes <= quota_bytes:
            break
        if not entry.tags and entry.id not in choice.protected:
            room.remove(entry.id)
            gone.append(entry)
    is_met, pack_bytes = room.n_bytes <= quota_bytes, room.pack_bytes
    for entry in reversed(gone):
        room.restore(entry.id)
        if room.n_bytes <= quota_bytes if is_met else room.pack_bytes == pack_bytes:
            choice.reasons[entry.id].append("spared by the quota: deleting it would free too little, or is not needed")
            continue
        room.remove(entry.id)
        choice.actions[entry.id] = DELETED
        choice.reasons[entry.id] = ["quota"]
    choice.over_quota_bytes = max(0, room.n_bytes - quota_bytes)
