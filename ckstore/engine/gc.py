"""gc: mark, condemn, wait, delete, clear. Any step may crash, and any other gc may go on from there.

Safety rests on root steps alone: a writer begun before a condemnation cannot commit once its objects may be deleted
(the floor), and one that commits earlier takes back what it needs (rescue). Leases only decide who waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from ckstore.engine import reach, trim
from ckstore.engine.reach import Object
from ckstore.engine.reports import GcReport
from ckstore.engine.session import Session
from ckstore.engine.unlist import unlist
from ckstore.format.names import DIRECTORY, PACK, ROOT, SEGMENT, TEMPORARIES, epoch_of, object_path, writer_of
from ckstore.format.records import Condemned, Root
from ckstore.store.leases import Observer
from ckstore.store.repository import Repository
from ckstore.store.roots import CONDEMNED_BYTES
from ckstore.store.writer import Writer, until_not_expired

TEMPORARY = 0
"""The kind under which stray temporaries are condemned."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long to wait for older writers in all, and by which clock."""

    grace_s: float = 60.0
    expire_writers: bool = False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def collect(session: Session, waiting: Waiting) -> GcReport:
    """Delete every object that no live checkpoint needs and no living writer may still commit."""
    return until_not_expired(lambda: _collect(session.repo, session.leases, waiting))


def _collect(repo: Repository, observer: Observer, waiting: Waiting) -> GcReport:
    repo.prepare()
    n_unjudged, end = _watch(observer, waiting)
    condemned: dict[Object, int] = {}
    deleted: dict[Object, int] = {}
    n_dropped = 0
    _finish(repo)
    while True:  # a root has room for so many condemned objects only
        batch = _condemn(repo, observer)
        condemned.update(batch.objects)
        n_dropped += batch.n_dropped
        number, writers = _wait(repo, observer, waiting, end)
        if writers and not waiting.expire_writers:
            return _report(condemned, deleted, writers, n_dropped, n_unjudged)
        deleted.update(_release(repo, number))
        if not batch.more or not number:
            break
    _drop_dead_leases(observer)
    return _report(condemned, deleted, 0, n_dropped, n_unjudged)


def preview(session: Session) -> GcReport:
    """What collect() would condemn and delete now; changes nothing."""
    repo = session.repo

    def look(root: Root) -> GcReport:
        sizes = _dead(repo, root, session.leases)
        sizes.update(_sizes(repo, [*root.condemned, *root.deleting]))
        n_unjudged = len(session.leases.in_doubt())
        return GcReport(True, len(sizes), sum(sizes.values()), 0, 0, 0, 0, n_unjudged)

    return repo.at_newest(look)


def _report(
    condemned: dict[Object, int], deleted: dict[Object, int], writers: int, n_dropped: int, n_unjudged: int
) -> GcReport:
    n_bytes, freed = sum(condemned.values()), sum(deleted.values())
    return GcReport(False, len(condemned), n_bytes, len(deleted), freed, writers, n_dropped, n_unjudged)


def _watch(observer: Observer, waiting: Waiting) -> tuple[int, float]:
    """Wait for leases of other hosts that only time can judge, while the grace lasts: a dead one must not keep its
    garbage for ever. Returns how many are left, and when the grace is over."""
    doubtful = observer.in_doubt()  # seen before the grace begins, so that three heartbeats of grace are enough
    end, pause = waiting.clock() + waiting.grace_s, 0.01
    while doubtful and not waiting.expire_writers and (left := end - waiting.clock()) > 0:
        waiting.sleep(min(pause, left))
        doubtful, pause = observer.in_doubt(), min(2 * pause, 1.0)
    return len(doubtful), end


def _dead(repo: Repository, root: Root, observer: Observer) -> dict[Object, int]:
    """Objects and temporaries that `root` does not need and whose writers live no more, with their bytes."""
    there = reach.on_disk(repo)
    there.update({(TEMPORARY, name): size for name, size in repo.fs.sizes(TEMPORARIES).items() if writer_of(name)})
    # Listed after the objects: a writer that made one of them had its lease by then.
    writers = {writer for writer in observer.writers() if observer.live(writer)}
    known = {(item.kind, item.name) for item in (*root.condemned, *root.deleting)}
    dead = there.keys() - reach.of_root(repo, root) - known
    return {item: there[item] for item in dead if writer_of(item[1]) not in writers}


@dataclass
class _Batch:
    """What one root step A condemned."""

    objects: dict[Object, int] = field(default_factory=dict)
    more: bool = False
    """Whether there was no room for all that is dead."""
    n_dropped: int = 0
    """Damaged segments among them."""


def _condemn(repo: Repository, observer: Observer) -> _Batch:
    """Root step A. The choice is made again for every root that this step might extend."""
    batch = _Batch()

    def step(writer: Writer) -> Callable[[Root], Root]:
        def change(base: Root) -> Root:
            nonlocal batch
            dead = _dead(repo, base, observer)
            chosen = _fitting(base, sorted(dead), CONDEMNED_BYTES * 3 // 4)  # the rest is for segments
            batch = _Batch(more=len(chosen) < len(dead))
            trimmed_to = trim.trim_to(repo, base)
            if not chosen and trimmed_to == base.trimmed_to:
                return base
            lists = unlist(repo, writer, base, frozenset(name for kind, name in chosen if kind == PACK))
            dead.update({(SEGMENT, ref.name): ref.n_bytes for ref in lists.replaced})
            listed = _fitting(base, [*chosen, *((SEGMENT, ref.name) for ref in lists.replaced)], CONDEMNED_BYTES)
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


def _release(repo: Repository, number: int) -> dict[Object, int]:
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
    return _finish(repo)


def _finish(repo: Repository) -> dict[Object, int]:
    """Delete what the root says is being deleted, whoever began it, and root step C: clear the list."""
    doomed = repo.root().deleting
    if not doomed:
        return {}
    repo.fs.sync_dir(DIRECTORY[ROOT])  # the root that says so must outlive a crash before anything goes
    sizes = _sizes(repo, doomed)
    repo.packs.close_idle()
    for item in doomed:
        repo.fs.remove(_path(item.kind, item.name))
    for kind in {item.kind for item in doomed}:
        repo.fs.sync_dir(DIRECTORY.get(kind, TEMPORARIES))
    gone = {(item.kind, item.name) for item in doomed}

    def change(base: Root) -> Root:
        left = [item for item in base.deleting if (item.kind, item.name) not in gone]
        return base if len(left) == len(base.deleting) else msgspec.structs.replace(base, deleting=left)

    with repo.writer() as writer:
        writer.commit(change, {})
    return sizes


def _path(kind: int, name: str) -> str:
    return f"{TEMPORARIES}/{name}" if kind == TEMPORARY and writer_of(name) else object_path(kind, name)


def _sizes(repo: Repository, items: list[Condemned]) -> dict[Object, int]:
    found: dict[Object, int] = {}
    for directory in {DIRECTORY.get(item.kind, TEMPORARIES) for item in items}:
        sizes = repo.fs.sizes(directory)
        mine = (item for item in items if DIRECTORY.get(item.kind, TEMPORARIES) == directory)
        found.update({(item.kind, item.name): sizes[item.name] for item in mine if item.name in sizes})
    return found


def _drop_dead_leases(observer: Observer) -> None:
    for writer in observer.writers():
        if not observer.live(writer):
            observer.forget(writer)
