"""gc: mark, condemn, wait, delete, clear. Any step may crash, and any other gc may go on from there.

Safety rests on root steps alone: a writer begun before a condemnation cannot commit once its objects may be deleted
(the floor), and one that commits earlier takes back what it needs (rescue). Leases only decide who waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from ckstore.engine import reach
from ckstore.engine.gc import trim
from ckstore.engine.gc.account import Done
from ckstore.engine.gc.garbage import dead_of, left_alone, no_more_held, path_of, sizes_of, unneeded
from ckstore.engine.gc.tend import NO_ROOM, tend
from ckstore.engine.gc.unlist import Written, unlist
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
    What is archived goes batch by batch, each freed before the next, until somebody has to be waited for.
    """
    if emergency and upkeep.archive is not None:
        raise UsageError("archive writes before it frees, and an emergency leaves no room for that: one at a time")
    repo = session.repo
    repo.prepare()
    if emergency:
        reserve.release(repo.fs)
    done = Done()
    try:
        report = until_not_expired(lambda: _collect(session, waiting, upkeep, progress, emergency, done))
        while done.tended.archive_left and not report.waiting_writers:
            report = until_not_expired(lambda: _collect(session, waiting, upkeep, progress, emergency, done))
        return report
    except StorageError as error:
        if error.errno not in NO_ROOM or emergency:
            raise
        hint = "`ckstore gc --emergency` (emergency=True) needs next to no room"
        raise StorageError(f"{error.message}; {hint}", error.errno, **error.details) from error


def _collect(
    session: Session, waiting: Waiting, upkeep: Upkeep, progress: Progress, emergency: bool, done: Done
) -> GcReport:
    repo, observer = session.repo, session.leases
    n_unjudged, end = _watch(observer, waiting)
    done.deleted.update(_finish(repo, progress))
    if not emergency:
        _tend(session, upkeep, progress, done.tended)
    progress(0, 0, "looking for what nobody needs")
    needs, left = reach.Needs(repo), left_alone(repo, observer)
    while True:  # a root has room for so many condemned objects only
        left = _condemn(repo, needs, left, done, emergency)
        number, writers = _wait(repo, observer, waiting, end)
        if writers and not waiting.expire_writers:
            return done.report(writers, n_unjudged)
        done.deleted.update(_release(repo, needs, number, progress))
        if not left or not number:
            _drop_dead_leases(observer)
            _renew_reserve(repo, emergency, done.tended)
            return done.report(0, n_unjudged)


def _tend(session: Session, upkeep: Upkeep, progress: Progress, tended: Tended) -> None:
    progress(0, 0, "looking for what can be moved")
    repo = session.repo
    dead = repo.at_newest(lambda root: dead_of(repo, root, session.leases))
    everywhere = upkeep.everywhere or not reserve.is_whole(repo.fs)  # then the last gc was none, or an emergency
    tend(session, dead, replace(upkeep, everywhere=everywhere), progress, tended)


def _renew_reserve(repo: Repository, emergency: bool, tended: Tended) -> None:
    is_new = reserve.shorten(repo.fs) if emergency or tended.partial else reserve.make(repo.fs)
    if is_new:
        repo.fs.sync_dir("")


def _watch(observer: Observer, waiting: Waiting) -> tuple[int, float]:
    """Wait for leases of other hosts that only time can judge, while the grace lasts: a dead one must not keep its
    garbage for ever. Returns how many are left, and when the grace is over."""
    doubtful = observer.in_doubt()  # seen before the grace begins, so that three heartbeats of grace are enough
    end, pause = waiting.clock() + waiting.grace_s, 0.01
    while doubtful and not waiting.expire_writers and (left := end - waiting.clock()) > 0:
        waiting.sleep(min(pause, left))
        doubtful, pause = observer.in_doubt(), min(2 * pause, 1.0)
    return len(doubtful), end


def _condemn(
    repo: Repository, needs: reach.Needs, found: dict[Object, int], done: Done, emergency: bool = False
) -> dict[Object, int]:
    """Root step A for what nobody needs of `found`; what there was no room for.

    The choice is made again for every root that this step might extend, out of what was dead under the first: beside
    busy savers a gc must be quick, and write nothing twice, to get its turn.
    """
    dead, n_dropped = found, 0
    listed: list[Object] = []
    written = None if emergency else Written()

    def change(writer: Writer, base: Root) -> Root:
        nonlocal found, dead, listed, n_dropped
        dead = found = unneeded(repo, base, found, needs)
        listed, n_dropped, trimmed_to = [], 0, trim.trim_to(repo, base)
        chosen = _fitting(base, sorted(found), CONDEMNED_BYTES * 3 // 4)  # the rest is for segments
        if not chosen and trimmed_to == base.trimmed_to:
            return base
        segments, n_dropped = unlist(repo, writer, base, {name for kind, name in found if kind == PACK}, written)
        freed = no_more_held(repo, base, segments)
        dead = found | freed
        listed = _fitting(base, [*chosen, *sorted(freed)], CONDEMNED_BYTES)
        more = [Condemned(kind, name, base.number + 1) for kind, name in listed]
        return msgspec.structs.replace(
            base, condemned=[*base.condemned, *more], segments=segments, trimmed_to=trimmed_to
        )

    with repo.writer() as writer:
        root = writer.commit(lambda base: change(writer, base), {})
    done.deleted.update(trim.remove_roots(repo, root.trimmed_to))
    done.condemned.update({item: dead.pop(item) for item in listed})
    done.n_dropped += n_dropped
    return dead


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


def _release(repo: Repository, needs: reach.Needs, number: int, progress: Progress) -> dict[Object, int]:
    """Root step B for what was condemned up to root `number`: no older writer can commit; then delete, then clear."""

    def change(base: Root) -> Root:
        # for what another gc condemned since, nobody has waited yet
        left = [item for item in base.condemned if item.number > number]
        if len(left) == len(base.condemned):
            return base
        live = reach.of_root(repo, base, needs)  # all of it must still be dead under the very root this step extends
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
