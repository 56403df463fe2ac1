"""gc: mark, condemn, wait, delete, clear. Any step may crash, and any other gc may go on from there.

Safety rests on root steps alone: a writer begun before a condemnation cannot commit once its objects may be deleted
(the floor), and one that commits earlier takes back what it needs (rescue). Leases only decide who waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ckstore.engine import reach
from ckstore.engine.reach import Object
from ckstore.engine.reports import GcReport
from ckstore.engine.session import Session
from ckstore.format.names import (
    DIRECTORY,
    PACK,
    ROOT,
    SEGMENT,
    TEMPORARIES,
    epoch_of,
    object_path,
    root_number,
    root_path,
    writer_of,
)  # fmt: skip
from ckstore.format.records import Condemned, ObjectRef, Root
from ckstore.store.leases import Observer
from ckstore.store.repository import Repository
from ckstore.store.writer import Writer, until_not_expired

TEMPORARY = 0
"""The kind under which stray temporaries are condemned."""

KEEP_ROOTS, MAX_ROOTS, KEEP_ROOTS_S = 100, 1000, 3600.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long to wait for older writers, and by which clock."""

    grace_s: float = 60.0
    expire_writers: bool = False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def collect(session: Session, waiting: Waiting) -> GcReport:
    """Delete every object that no live checkpoint needs and no living writer may still commit."""
    return until_not_expired(lambda: _collect(session.repo, waiting))


def _collect(repo: Repository, waiting: Waiting) -> GcReport:
    observer = Observer(repo.fs)
    _finish(repo)
    condemned = _condemn(repo, observer)
    number, writers = _wait(repo, observer, waiting)
    if writers and not waiting.expire_writers:
        return _report(condemned, {}, writers)
    deleted = _release(repo, number)
    _drop_dead_leases(observer)
    return _report(condemned, deleted, 0)


def preview(session: Session) -> GcReport:
    """What collect() would condemn and delete now; changes nothing."""
    repo = session.repo

    def look(root: Root) -> GcReport:
        sizes = _dead(repo, root, Observer(repo.fs))
        sizes.update(_sizes(repo, [*root.condemned, *root.deleting]))
        return GcReport(True, len(sizes), sum(sizes.values()), 0, 0, 0)

    return repo.at_newest(look)


def _report(condemned: dict[Object, int], deleted: dict[Object, int], writers: int) -> GcReport:
    n_bytes = sum(condemned.values())
    return GcReport(False, len(condemned), n_bytes, len(deleted), sum(deleted.values()), writers)


def _dead(repo: Repository, root: Root, observer: Observer) -> dict[Object, int]:
    """Objects and temporaries that `root` does not need and whose writers live no more, with their bytes."""
    there = reach.on_disk(repo)
    there.update({(TEMPORARY, name): size for name, size in repo.fs.sizes(TEMPORARIES).items() if writer_of(name)})
    # Listed after the objects: a writer that made one of them had its lease by then.
    writers = {writer for writer in observer.writers() if observer.live(writer)}
    known = {(item.kind, item.name) for item in (*root.condemned, *root.deleting)}
    dead = there.keys() - reach.of_root(repo, root) - known
    return {item: there[item] for item in dead if writer_of(item[1]) not in writers}


def _condemn(repo: Repository, observer: Observer) -> dict[Object, int]:
    """Root step A. The choice is made again for every root that this step might extend."""
    condemned: dict[Object, int] = {}

    def step(writer: Writer) -> Callable[[Root], Root]:
        def change(base: Root) -> Root:
            condemned.clear()
            condemned.update(_dead(repo, base, observer))
            trimmed_to = _trim_to(repo, base)
            if not condemned and trimmed_to == base.trimmed_to:
                return base
            segments, replaced = _without_packs(repo, writer, base, frozenset(n for k, n in condemned if k == PACK))
            condemned.update({(SEGMENT, ref.name): ref.n_bytes for ref in replaced})
            more = [Condemned(kind, name, base.number + 1) for kind, name in sorted(condemned)]
            return msgspec.structs.replace(
                base, condemned=[*base.condemned, *more], segments=segments, trimmed_to=trimmed_to
            )

        return change

    with repo.writer() as writer:
        root = writer.commit(step(writer), {})
    _remove_roots(repo, root.trimmed_to)
    return condemned


def _without_packs(
    repo: Repository, writer: Writer, base: Root, dead: frozenset[str]
) -> tuple[list[ObjectRef], list[ObjectRef]]:
    """(segments that no longer name the dead packs, segments they replace)."""
    segments: list[ObjectRef] = []
    replaced: list[ObjectRef] = []
    for ref in base.segments:
        head = repo.objects.segment(ref)
        if not dead & {pack.name for pack in head.packs}:
            segments.append(ref)
            continue
        rows = list(repo.segments.merged([ref], dead))
        segments.extend([writer.put_segment(rows, head.level)] if rows else [])
        replaced.append(ref)
    return segments, replaced


def _wait(repo: Repository, observer: Observer, waiting: Waiting) -> tuple[int, int]:
    """Wait for living writers that began before the newest condemnation.

    Returns the number of that root (0: nothing is condemned) and how many writers are left when the grace is over.
    """
    number = max((item.number for item in repo.root().condemned), default=0)
    end = waiting.clock() + waiting.grace_s
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


def _trim_to(repo: Repository, base: Root) -> int:
    """Up to which number roots may go: all but the newest 100 and the last hour's, at most 1,000 in all."""
    if base.number - base.trimmed_to <= 2 * KEEP_ROOTS:
        return base.trimmed_to
    limit, oldest_kept = base.number - KEEP_ROOTS, base.number - MAX_ROOTS
    now, trim = time.time(), max(base.trimmed_to, oldest_kept)
    numbers = sorted(n for n in map(root_number, repo.fs.names(DIRECTORY[ROOT])) if n is not None)
    for number in numbers:
        if number > limit or (number > trim and now - repo.fs.modified(root_path(number)) < KEEP_ROOTS_S):
            break
        trim = max(trim, number)
    return trim


def _remove_roots(repo: Repository, trimmed_to: int) -> None:
    numbers = [number for number in map(root_number, repo.fs.names(DIRECTORY[ROOT])) if number is not None]
    old = [number for number in numbers if number <= trimmed_to]
    if old:
        repo.fs.sync_dir(DIRECTORY[ROOT])  # as above: another process may have published the root that says so
    for number in old:
        repo.fs.remove(root_path(number))
