"""gc: mark, condemn, wait, delete, clear. Any step may crash, and any other gc may go on from there.

Safety rests on root steps alone: a writer begun before a condemnation cannot commit once its objects may be deleted
(the floor), and one that commits earlier takes back what it needs (rescue). Leases only decide who waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import msgspec

from ckstore.engine import reach
from ckstore.engine.gc import trim
from ckstore.engine.gc.garbage import dead_of, no_more_held, path_of, sizes_of
from ckstore.engine.gc.tend import NO_ROOM, tend
from ckstore.engine.gc.unlist import unlist
from ckstore.engine.gc.upkeep import USUAL, Progress, Tended, Upkeep, silent
from ckstore.engine.reach import Object
from ckstore.engine.reports import GcReport
from ckstore.engine.session import Session
from ckstore.errors import StorageError, UsageError
from ckstore.format.names import DIRECTORY, PACK, ROOT, TEMPORARIES, epoch_of
from ckstore.format.records import Condemned, Root
from ckstore.store import reserve
from ckstore.store.leases import Observer
from ckstore.store.repository import Repository
from ckstore.store.roots import CONDEMNED_BYTES
from ckstore.store.writer import Writer, until_not_expired


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long to wait for older writers in all, and by which clock."""

    grace_s: float = 60.0
    expire_writers: bool = False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        if not isinstance(self.grace_s, int | float) or not self.grace_s >= 0:
            raise UsageError(f"grace_s is a number of seconds from 0 on, not {self.grace_s!r}")


def collect(
    session: Session, waiting: Waiting, upkeep: Upkeep = USUAL, progress: Progress = silent, emergency: bool = False
) -> GcReport:
    """Delete every object that no live checkpoint needs and no living writer may still commit.

    emergency: for a full disk. The reserve is given up first, and nothing is written that is not needed to delete:
    no repack, no rebase, and segments that name a dead pack are dropped (chunks may be stored again later).
    """
    repo = session.repo
    repo.prepare()
    if emergency:
        reserve.release(repo.fs)
    try:
        return until_not_expired(lambda: _collect(session, waiting, upkeep, progress, emergency))
    except StorageError as error:
        if error.errno not in NO_ROOM or emergency:
            raise
        hint = "`ckstore gc --emergency` (emergency=True) needs next to no room"
        raise StorageError(f"{error.message}; {hint}", error.errno, **error.details) from error


def _collect(session: Session, waiting: Waiting, upkeep: Upkeep, progress: Progress, emergency: bool) -> GcReport:
    repo, observer = session.repo, session.leases
    n_unjudged, end = _watch(observer, waiting)
    condemned: dict[Object, int] = {}
    deleted: dict[Object, int] = {}
    n_dropped = n_waiting = 0
    _finish(repo, progress)
    tended = Tended() if emergency else _tended(session, upkeep, progress)
    while True:  # a root has room for so many condemned objects only
        progress(0, 0, "looking for what nobody needs")
        batch = _condemn(repo, observer, emergency)
        condemned.update(batch.objects)
        n_dropped += batch.n_dropped
        number, writers = _wait(repo, observer, waiting, end)
        if writers and not waiting.expire_writers:
            n_waiting = writers
            break
        deleted.update(_release(repo, number, progress))
        if not batch.more or not number:
            _drop_dead_leases(observer)
            _renew_reserve(repo, emergency, tended)
            break
    return _report(condemned, deleted, n_waiting, n_dropped, n_unjudged, tended)


def _tended(session: Session, upkeep: Upkeep, progress: Progress) -> Tended:
    progress(0, 0, "looking for what can be moved")
    repo = session.repo
    dead = repo.at_newest(lambda root: dead_of(repo, root, session.leases))
    everywhere = upkeep.everywhere or not reserve.is_whole(repo.fs)  # then the last gc was none, or an emergency
    return tend(session, dead, replace(upkeep, everywhere=everywhere), progress)


def _renew_reserve(repo: Repository, emergency: bool, tended: Tended) -> None:
    is_new = reserve.shorten(repo.fs) if emergency or tended.partial else reserve.make(repo.fs)
    if is_new:
        repo.fs.sync_dir("")


def _report(
    condemned: dict[Object, int], deleted: dict[Object, int], writers: int, n_dropped: int, n_unjudged: int,
    tended: Tended,
) -> GcReport:  # fmt: skip
    return GcReport(
        dry_run=False, condemned_objects=len(condemned), condemned_bytes=sum(condemned.values()),
        deleted_objects=len(deleted), freed_bytes=sum(deleted.values()), waiting_writers=writers,
        dropped_segments=n_dropped, unjudged_leases=n_unjudged, repacked_packs=tended.packs,
        repacked_bytes=tended.moved_bytes, rebased_frames=tended.rebased, rebased_bytes=tended.rebased_bytes,
        unmovable=[f"{what}: {problem}" for what, problem in tended.unmovable.items()], stopped=tended.stopped,
    )  # fmt: skip


def _watch(observer: Observer, waiting: Waiting) -> tuple[int, float]:
    """Wait for leases of other hosts that only time can judge, while the grace lasts: a dead one must not keep its
    garbage for ever. Returns how many are left, and when the grace is over."""
    doubtful = observer.in_doubt()  # seen before the grace begins, so that three heartbeats of grace are enough
    end, pause = waiting.clock() + waiting.grace_s, 0.01
    while doubtful and not waiting.expire_writers and (left := end - waiting.clock()) > 0:
        waiting.sleep(min(pause, left))
        doubtful, pause = observer.in_doubt(), min(2 * pause, 1.0)
    return len(doubtful), end


@dataclass
class _Batch:
    """What one root step A condemned."""

    objects: dict[Object, int] = field(default_factory=dict)
    more: bool = False
    """Whether there was no room for all that is dead."""
    n_dropped: int = 0
    """Segments that were dropped, not replaced."""


def _condemn(repo: Repository, observer: Observer, emergency: bool = False) -> _Batch:
    """Root step A. The choice is made again for every root that this step might extend."""
    batch = _Batch()

    def step(writer: Writer) -> Callable[[Root], Root]:
        def change(base: Root) -> Root:
            nonlocal batch
            dead = dead_of(repo, base, observer)
            chosen = _fitting(base, sorted(dead), CONDEMNED_BYTES * 3 // 4)  # the rest is for segments
            batch = _Batch(more=len(chosen) < len(dead))
            trimmed_to = trim.trim_to(repo, base)
            if not chosen and trimmed_to == base.trimmed_to:
                return base
            packs = frozenset(name for kind, name in chosen if kind == PACK)
            lists = unlist(repo, writer, base, packs, rewrite=not emergency)
            freed = no_more_held(repo, base, lists.segments)
            dead.update(freed)
            listed = _fitting(base, [*chosen, *sorted(freed)], CONDEMNED_BYTES)
            batch = _Batch({item: dead[item] for item in listed}, len(listed) < len(dead), lists.n_dropped)
            more = [Condemned(kind, name, base.number + 1) for kind, name in listed]
            return msgspec.structs.replace(
                base, condemned=[*base.condemned, *more], segments=lists.segments, trimmed_to=trimmed_to
            )

        return change

    with repo.writer() as writer:
        root = writer.commit(step(writer), {})
    trim.remove_roots(repo, root.trimmed_to)
    return batch


def _fitting(base: Root, items: list[Object], limit: int) -> list[Object]:
    """The first of `items` that the root after `base` can list in `limit` bytes, beside what is on its lists."""
    used = sum(len(msgspec.msgpack.encode(item)) for item in (*base.condemned, *base.deleting))
    for n, (kind, name) in enumerate(items):
        used += len(msgspec.msgpack.encode(Condemned(kind, name, base.number + 1)))
        if used > limit:
            return items[:n]
    return items


def _wait(repo: Repository, observer: Observer, waiting: Waiting, end: float) -> tuple[int, int]:
    """Wait until `end` for living writers that began before the newest condemnation.

    Returns the number of that root (0: nothing is condemned) and how many writers are left when the grace is over.
    """
    number = max((item.number for item in repo.root().condemned), default=0)
    pause = 0.01
    while True:
        old = [writer for writer in observer.writers() if (epoch_of(writer) or 0) < number]
        living = [writer for writer in old if observer.live(writer)]
        if not living or waiting.expire_writers or waiting.clock() >= end:
            return number, len(living)
        waiting.sleep(pause)
        pause = min(2 * pause, 1.0)


def _release(repo: Repository, number: int, progress: Progress) -> dict[Object, int]:
    """Root step B for what was condemned up to root `number`: no older writer can commit; then delete, then clear."""

    def change(base: Root) -> Root:
        # for what another gc condemned since, nobody has waited yet
        left = [item for item in base.condemned if item.number > number]
        if len(left) == len(base.condemned):
            return base
        live = reach.of_root(repo, base)  # what was condemned must still be dead under the very root this step extends
        due = [item for item in base.condemned if item.number <= number]
        dead = [item for item in due if (item.kind, item.name) not in live]
        floor = max([base.floor, *(item.number for item in dead)])
        return msgspec.structs.replace(base, condemned=left, deleting=[*base.deleting, *dead], floor=floor)

    with repo.writer() as writer:
        writer.commit(change, {})
    return _finish(repo, progress)


def _finish(repo: Repository, progress: Progress) -> dict[Object, int]:
    """Delete what the root says is being deleted, whoever began it, and root step C: clear the list."""
    doomed = repo.root().deleting
    if not doomed:
        return {}
    repo.fs.sync_dir(DIRECTORY[ROOT])  # the root that says so must outlive a crash before anything goes
    sizes = sizes_of(repo, doomed)
    repo.packs.close_idle()
    for n, item in enumerate(doomed):
        progress(n, len(doomed), "deleting")
        repo.fs.remove(path_of(item.kind, item.name))
    for kind in {item.kind for item in doomed}:
        repo.fs.sync_dir(DIRECTORY.get(kind, TEMPORARIES))
    gone = {(item.kind, item.name) for item in doomed}

    def change(base: Root) -> Root:
        left = [item for item in base.deleting if (item.kind, item.name) not in gone]
        return base if len(left) == len(base.deleting) else msgspec.structs.replace(base, deleting=left)

    with repo.writer() as writer:
        writer.commit(change, {})
    return sizes


def _drop_dead_leases(observer: Observer) -> None:
    for writer in observer.writers():
        if not observer.live(writer):
            observer.forget(writer)
