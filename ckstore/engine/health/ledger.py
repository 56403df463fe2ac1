"""Entries of checkpoints that no readable part of the catalog names: from older roots, or from manifests on disk.

Only a lost page or a lost root makes repair look for them: else a manifest that nobody names was deleted, or is of a
save that never finished. For the same reason, a checkpoint counts as deleted if an older root still had it and a newer
one had not, without a page that cannot be read to which it could have moved. If that was long ago, no root tells of it,
and its manifest is there only because a younger checkpoint shares pages of it. So with no page lost, what is shared and
not listed was deleted. With a page lost nobody knows: it is listed again, as else it could be lost for good, but makes
up for none of the lost entries.

What the disk refuses to read is an error here, not damage: what is passed over once is never looked for again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from ckstore.engine.checkpoint import DROPPED
from ckstore.engine.health.found import Survey
from ckstore.engine.parent import load_manifest
from ckstore.engine.republish import CHECKPOINT, first_epoch
from ckstore.errors import CorruptError
from ckstore.format import envelope
from ckstore.format.names import DIRECTORY, MANIFEST, epoch_of, is_object_name, writer_of
from ckstore.format.records import EMPTY, Entry, Manifest, ObjectRef, Root, TensorRow
from ckstore.store.leases import Observer
from ckstore.store.repository import Repository
from ckstore.store.salvage import SalvagedRoots

Rank = tuple[int, int]
"""The number of a root, and a place in its catalog."""
Key = tuple[str, int, int, bytes]
"""Run, step, time and write id: the same in a checkpoint's entry and in all manifests it has had."""


class Recovered(NamedTuple):
    """A checkpoint that can be listed again."""

    entry: Entry
    """Its closure is still to be made."""
    epoch: int
    """Of its first manifest."""
    rank: Rank
    """Gives the order of what is listed again: its place in the newest root that tells of it. Those that none tells of
    had gone to a page before the oldest of these roots, in the order of their epochs, or were never in any of them."""
    remembered: bool
    """Whether an older root told its metrics, tags and meta."""
    late: bool
    """Whether it was saved when the oldest root was there, and no root tells of it: only a lost one had it, or none."""


class Ledger(NamedTuple):
    """What the disk tells of checkpoints that `root` does not list, or not readably."""

    recovered: list[Recovered]
    """Those that nobody has deleted, oldest first."""
    deleted: list[Entry]
    """Those that were deleted, though no two roots that follow each other tell so."""
    doubtful: set[bytes]
    """Ids of recovered ones that may have been deleted before the oldest root, or never been saved to the end."""


@dataclass
class _History:
    """What older roots tell."""

    known: dict[Key, tuple[Entry, Rank]] = field(default_factory=dict)
    deleted: set[Key] = field(default_factory=set)
    oldest: int = 0
    """Number of the oldest root."""

    def add(self, number: int, listing: _Listing) -> None:
        """Take in what root `number` lists, which is older than all before."""
        self.oldest = number
        for i, (key, entry) in enumerate(listing.entries.items()):
            self.known.setdefault(key, (entry, (number, i)))


def recover(repo: Repository, roots: SalvagedRoots, root: Root, seen: Survey, observer: Observer) -> Ledger:
    """Look for what `root` lacks."""
    history = _history(repo, roots, root)
    listed = {_key(entry) for entry in seen.entries}
    holders = {name for entry in seen.entries for name in _holders(repo, entry.manifest)}
    shared = set(holders)
    newest: dict[Key, Recovered] = {}
    deleted: list[Entry] = []
    for ref in _strays(repo, root, seen, observer):
        with suppress(CorruptError):
            head = repo.objects.manifest(ref)
            key = (head.run, head.step, head.time_ns, head.write_id)
            if key in listed or key in history.deleted:
                continue
            one = _recovered(repo, root, head, ref, history)
            shared |= _holders(repo, ref)
            if seen.lost_pages or ref.name not in holders:
                newest[key] = one
            else:
                deleted.append(one.entry)
    found = sorted(newest.values(), key=lambda one: (one.rank, one.entry.time_ns))
    doubtful = {
        one.entry.id for one in found
        if one.late or (one.entry.manifest.name in shared and not one.remembered)
    }  # fmt: skip
    return Ledger(_tagged_once(found, {tag for entry in seen.entries for tag in entry.tags}), deleted, doubtful)


def _recovered(repo: Repository, root: Root, head: Manifest, ref: ObjectRef, history: _History) -> Recovered:
    epoch = first_epoch(head, ref.name)
    known, rank = history.known.get((head.run, head.step, head.time_ns, head.write_id), (None, (epoch + 1, 0)))
    entry = _entry(head, ref, known)
    table, _ = load_manifest(repo, entry, root.chunk_elements)
    entry = replace(entry, n_tensors=sum(isinstance(row, TensorRow) for row, _ in table))
    return Recovered(entry, epoch, rank, known is not None, known is None and epoch >= history.oldest)


def _holders(repo: Repository, ref: ObjectRef) -> set[str]:
    """The older manifests in which pages of this one lie; none if it cannot be read."""
    with suppress(CorruptError):
        return {page.holder for page in repo.objects.manifest(ref).pages if page.holder}
    return set()


def _tagged_once(found: list[Recovered], taken: set[str]) -> list[Recovered]:
    """The same, each tag left only to the newest that has it, and to none where it has moved on."""
    left: list[Recovered] = []
    for one in reversed(found):
        left.append(one._replace(entry=replace(one.entry, tags=[tag for tag in one.entry.tags if tag not in taken])))
        taken.update(one.entry.tags)
    return left[::-1]


def _strays(repo: Repository, root: Root, seen: Survey, observer: Observer) -> Iterator[ObjectRef]:
    """Manifests that nothing names, oldest first, but for those of living writers."""
    sizes = repo.fs.sizes(DIRECTORY[MANIFEST])
    living = {writer for writer in observer.writers() if observer.live(writer)}  # listed after the manifests
    named = {entry.manifest.name for entry in seen.entries}
    named |= {item.name for item in (*root.condemned, *root.deleting) if item.kind == MANIFEST}
    strays = [(epoch_of(writer_of(name) or "") or 0, name) for name in sizes if is_object_name(name)]
    for _, name in sorted(strays):
        if name not in named and writer_of(name) not in living:
            with suppress(CorruptError):
                yield repo.objects.unnamed(MANIFEST, name, sizes[name])


def _entry(head: Manifest, ref: ObjectRef, known: Entry | None) -> Entry:
    if known is not None:
        return replace(known, manifest=ref)
    extra = envelope.decode_map(head.extra, f"manifest {ref.name}")
    id_, dropped = extra.get(CHECKPOINT), extra.get(DROPPED)
    return Entry(
        id=id_ if isinstance(id_, bytes) and len(id_) == 32 else ref.digest, run=head.run,
        step=head.step, time_ns=head.time_ns, logical_bytes=head.logical_bytes,
        stored_bytes=0, manifest=ref, closure=ref, parent=b"", metrics={}, tags=[], meta=EMPTY,
        write_id=head.write_id, n_tensors=0,
        extra=envelope.encode_map({DROPPED: dropped} if dropped else {}),
    )  # fmt: skip


def _key(entry: Entry) -> Key:
    return entry.run, entry.step, entry.time_ns, entry.write_id


def _history(repo: Repository, roots: SalvagedRoots, root: Root) -> _History:
    """What the roots that are still there say of checkpoints; the newest word counts."""
    history = _History()
    newer = _Listing(repo, root)
    history.add(root.number, newer)
    for older_root, _ in roots.older(root.number - 1):
        older = _Listing(repo, older_root)
        if not newer.unreadable - older.pages:
            history.deleted |= older.entries.keys() - history.known.keys()
        history.add(older_root.number, older)
        newer = older
    return history


class _Listing:
    """The catalog of one root, as far as it reads."""

    def __init__(self, repo: Repository, root: Root) -> None:
        self.pages = {ref.page.name for ref in root.catalog}
        self.unreadable: set[str] = set()
        self.entries: dict[Key, Entry] = {}
        for ref in root.catalog:
            try:
                self.entries.update({_key(entry): entry for entry in repo.objects.catalog(ref.page).entries})
            except CorruptError:
                self.unreadable.add(ref.page.name)
        self.entries.update({_key(entry): entry for entry in root.inline})
