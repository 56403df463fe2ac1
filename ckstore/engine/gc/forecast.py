"""What a gc would do now, and what deleting each checkpoint would do: gc(dry_run=True). Changes nothing.

The second part reads all closures and manifests three times; what it keeps in memory is 30 bytes a frame of the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ckstore.engine.gc import frames, garbage, rebase, repack, support, tried, trim, uses
from ckstore.engine.gc.frames import Frames, Keys, KeySet, Numbers
from ckstore.engine.gc.upkeep import USUAL, Progress, Upkeep, silent
from ckstore.engine.gc.uses import Uses
from ckstore.engine.reach import Object, ref_of
from ckstore.engine.reports import CheckpointPlan, GcReport
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE, MissingObjectError, UnsupportedError
from ckstore.format.names import CLOSURE, DIRECTORY, MANIFEST
from ckstore.format.records import Entry, Root
from ckstore.store import reserve
from ckstore.store.repository import Repository


def preview(session: Session, upkeep: Upkeep = USUAL, progress: Progress = silent) -> GcReport:
    """What collect() would condemn, delete and repack now, and what would come of deleting each checkpoint."""
    return session.repo.at_newest(lambda root: _preview(session, root, upkeep, progress))


def _preview(session: Session, root: Root, upkeep: Upkeep, progress: Progress) -> GcReport:
    repo = session.repo
    dead = garbage.dead_of(repo, root, session.leases)
    dead.update(garbage.sizes_of(repo, [*root.condemned, *root.deleting]))
    sizes = dead | trim.old_roots(repo, trim.trim_to(repo, root))
    choice, plans = repack.choose(repo, root, upkeep), _Plans(repo, root, progress)
    untried = plans.untried(upkeep)
    checkpoints = plans.all()
    rebased = plans.rebased(dead, upkeep)
    return GcReport(
        dry_run=True, condemned_objects=len(sizes), condemned_bytes=sum(sizes.values()), deleted_objects=0,
        freed_bytes=0, waiting_writers=0, dropped_segments=0, unjudged_leases=len(session.leases.in_doubt()),
        repacked_packs=len(choice.packs), repacked_bytes=choice.live_bytes, repack_frees_bytes=choice.dead_bytes,
        rebased_frames=len(rebased.tops) if rebased else 0, rebased_bytes=rebased.n_bytes if rebased else 0,
        archive_checkpoints=len(untried.entries) if untried else 0,
        archive_tried_bytes=untried.n_bytes if untried else 0,
        support_bytes=plans.support_bytes, checkpoints=checkpoints,
    )  # fmt: skip


class _Plans:
    """A first pass over all checkpoints finds the frames, a second whose they are, a third who is on top of them."""

    def __init__(self, repo: Repository, root: Root, progress: Progress) -> None:
        self._repo, self._root, self._progress = repo, root, progress
        self._uses = uses.of_root(repo, root)
        self._damaged: set[int] = set()
        self.support_bytes = 0

    def all(self) -> list[CheckpointPlan]:
        """Oldest first."""
        keys, n_bytes = self._frames()
        owner = self._owners(keys, n_bytes)
        n = len(self._uses.entries)
        support = np.bincount(owner[owner >= 0], n_bytes[owner >= 0], n).astype(np.int64)
        rebase = self._rebase_bytes(keys, owner)
        freed = _freed_bytes(self._repo, self._uses)
        return [
            CheckpointPlan(entry.id.hex(), ref_of(entry), freed[i], int(support[i]), int(rebase[i]), i in self._damaged)
            for i, entry in enumerate(self._uses.entries)
        ]

    def _frames(self) -> tuple[Keys, Numbers]:
        found = KeySet()
        for i in range(len(self._uses.entries)):
            if (rows := self._read(i, "reading what is there", manifest=True)) is not None:
                found.add(rows.keys, rows.frame_bytes)
        return found.sorted()

    def rebased(self, dead: Mapping[Object, int], upkeep: Upkeep) -> rebase.Plan | None:
        """What the gc would encode anew."""
        if upkeep.max_bytes == 0:
            return None
        everywhere = upkeep.everywhere or not reserve.is_whole(self._repo.fs)
        suspected = support.suspects(self._repo, self._uses, dead, everywhere)
        return rebase.plan(self._uses, support.find(self._repo, self._uses, suspected), upkeep.max_bytes)

    def untried(self, upkeep: Upkeep) -> tried.Choice | None:
        """What the gc would encode again."""
        if upkeep.archive is None or upkeep.max_bytes == 0:
            return None
        return tried.choose(self._uses, upkeep.archive)

    def _owners(self, keys: Keys, n_bytes: Numbers) -> npt.NDArray[np.int32]:
        """For each frame the checkpoint whose deletion would leave it as a base of others and nothing else, or -1."""
        n_named, n_users = np.zeros(len(keys), np.uint32), np.zeros(len(keys), np.uint32)
        owner = np.full(len(keys), -1, np.int32)
        for i, entry in enumerate(self._uses.entries):
            if (rows := self._read(i, "finding whose it is")) is None:
                continue
            at = np.searchsorted(keys, rows.keys)
            named = at[np.isin(rows.chunks, frames.direct(self._repo, entry))]
            n_users[at] += np.uint32(1)
            n_named[named] += np.uint32(1)
            owner[named] = i
        self.support_bytes = int(n_bytes[(n_named == 0) & (n_users > 0)].sum())
        owner[(n_named != 1) | (n_users < 2)] = -1
        return owner

    def _rebase_bytes(self, keys: Keys, owner: npt.NDArray[np.int32]) -> Numbers:
        """By checkpoint, about what all frames take alone that are directly on top of its support."""
        total = np.zeros(len(self._uses.entries), np.int64)
        seen = np.zeros(len(keys), np.bool_)
        for i in range(len(total)):
            if (rows := self._read(i, "finding what is based on it")) is None:
                continue
            at = np.searchsorted(keys, rows.keys)
            top, base = rows.edges[:, 0], owner[at[rows.edges[:, 1]]]
            mine = (base >= 0) & (base != i) & (owner[at[top]] != base) & ~seen[at[top]]
            np.add.at(total, base[mine], rows.alone_bytes()[top[mine]])
            seen[at[top[mine]]] = True
        return total

    def _read(self, i: int, what: str, manifest: bool = False) -> Frames | None:
        """The rows of a checkpoint, unless it is damaged. manifest: see whether that can be read as well."""
        self._progress(i, len(self._uses.entries), what)
        if i in self._damaged:
            return None
        entry = self._uses.entries[i]
        try:
            if manifest:
                frames.direct(self._repo, entry)
            return frames.read(self._repo, entry, self._uses.packs)
        except (*UNREADABLE, UnsupportedError) as error:
            if isinstance(error, MissingObjectError) and self._repo.root().number != self._root.number:
                raise  # a gc has removed it since: Repository.at_newest looks again
            self._damaged.add(i)
            return None


def _freed_bytes(repo: Repository, found: Uses) -> list[int]:
    """By checkpoint, the bytes of all files that it alone needs."""
    alone = np.bincount(found.pack_of, minlength=len(found.sizes))[found.pack_of] == 1
    packs = np.bincount(found.entry_of[alone], found.sizes[found.pack_of[alone]], len(found.entries)).astype(np.int64)
    sizes: dict[Object, int] = {}
    for kind in (MANIFEST, CLOSURE):
        sizes.update({(kind, name): size for name, size in repo.fs.sizes(DIRECTORY[kind]).items()})
    needs = [_files(repo, entry) for entry in found.entries]
    users = Counter(item for mine in needs for item in mine)
    others = (sum(sizes.get(item, 0) for item in mine if users[item] == 1) for mine in needs)
    return [int(in_packs) + other for in_packs, other in zip(packs, others, strict=True)]


def _files(repo: Repository, entry: Entry) -> set[Object]:
    """The manifests and closures that a checkpoint needs."""
    held = ((kind, name) for kind, name in repo.objects.closure(entry.closure).holders)
    return {(MANIFEST, entry.manifest.name), (CLOSURE, entry.closure.name), *held}
