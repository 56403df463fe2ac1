"""The catalog: every checkpoint of a store in commit order, and how references find one.

The newest entries lie in the root itself, older ones in pages of up to 256. Changes return a new Root for a commit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress

import msgspec

from ckstore.errors import UNREADABLE, CheckpointNotFound, ConflictError, RefMoved, RefNotFound, UsageError
from ckstore.format.limits import PAGE_ENTRIES
from ckstore.format.names import CATALOG
from ckstore.format.records import CatalogPage, CatalogRef, Entry, Root
from ckstore.store.repository import Repository
from ckstore.store.roots import LASTING_BYTES, lasting_bytes
from ckstore.store.writer import Writer

INLINE_ENTRIES = 32

_HEX = re.compile(r"[0-9a-f]+")
MIN_PREFIX = 6


def entries(repo: Repository, root: Root) -> Iterator[Entry]:
    """All entries, newest first."""
    yield from reversed(root.inline)
    for ref in reversed(root.catalog):
        yield from reversed(repo.objects.catalog(ref.page).entries)


def readable(repo: Repository, root: Root) -> Iterator[Entry]:
    """As entries(), without those in pages that cannot be read: damage to old entries must not stop a save."""
    yield from reversed(root.inline)
    for ref in reversed(root.catalog):
        with suppress(*UNREADABLE):
            yield from reversed(repo.objects.catalog(ref.page).entries)


def by_id(repo: Repository, root: Root, checkpoint_id: bytes) -> Entry:
    """The entry with this id; raises CheckpointNotFound."""
    for entry in entries(repo, root):
        if entry.id == checkpoint_id:
            return entry
    raise CheckpointNotFound(f"checkpoint {checkpoint_id.hex()[:12]} is not in the store (deleted?)")


def resolve(repo: Repository, root: Root, ref: str) -> Entry:
    """The checkpoint `ref` names: `latest`, `RUN@...`, a tag, or an id prefix, tried in this order."""
    if not isinstance(ref, str) or not ref:
        raise UsageError(f"a reference is a non-empty string, not {ref!r}")
    if ref == "latest":
        found = next(entries(repo, root), None)
    elif "@" in ref:
        found = _in_run(repo, root, *ref.rsplit("@", 1))
    else:
        found = tagged(repo, root, ref) or _prefixed(repo, root, ref)
    if found is None:
        raise RefNotFound(f"no checkpoint is named {ref!r}; `ckstore ls` lists what there is", ref=ref)
    return found


def _in_run(repo: Repository, root: Root, run: str, which: str) -> Entry | None:
    mine = (entry for entry in entries(repo, root) if entry.run == run)
    if which == "latest":
        return next(mine, None)
    if which.startswith(("min:", "max:")):
        return _best(mine, which[4:], -1.0 if which.startswith("min:") else 1.0)
    try:
        step = int(which)
    except ValueError as error:
        raise UsageError(f"after @ comes a step, latest, min:METRIC or max:METRIC, not {which!r}") from error
    return next((entry for entry in mine if entry.step == step), None)


def _best(mine: Iterator[Entry], metric: str, sign: float) -> Entry | None:
    best: Entry | None = None
    for entry in mine:  # newest first, so that a strict comparison lets the newest of equals win
        value = entry.metrics.get(metric, math.nan)
        if not math.isnan(value) and (best is None or sign * value > sign * best.metrics[metric]):
            best = entry
    return best


def tagged(repo: Repository, root: Root, tag: str) -> Entry | None:
    """The checkpoint that has a tag."""
    return next((entry for entry in entries(repo, root) if tag in entry.tags), None)


def _prefixed(repo: Repository, root: Root, prefix: str) -> Entry | None:
    if len(prefix) < MIN_PREFIX or not _HEX.fullmatch(prefix):
        return None
    found = [entry for entry in entries(repo, root) if entry.id.hex().startswith(prefix)]
    if len(found) > 1:
        raise ConflictError(f"{prefix!r} is the beginning of {len(found)} checkpoint ids: give more digits", ref=prefix)
    return found[0] if found else None


def append(repo: Repository, writer: Writer, root: Root, entry: Entry) -> Root:
    """`root` with one more, newest entry, which stays inline."""
    return _rolled(repo, writer, msgspec.structs.replace(root, inline=[*root.inline, entry]))


def _rolled(repo: Repository, writer: Writer, root: Root) -> Root:
    """`root`, its oldest inline entries moved to a page if they are too many or make it too large.

    The newer half stays, or of it what takes half the room, so that not every commit has to move some.
    """
    if len(root.inline) <= INLINE_ENTRIES and lasting_bytes(root) <= LASTING_BYTES:
        return root
    sizes = [len(msgspec.msgpack.encode(entry)) for entry in root.inline]
    room = (LASTING_BYTES - lasting_bytes(root) + sum(sizes)) // 2
    at = len(sizes) // 2
    while at < len(sizes) - 1 and sum(sizes[at:]) > room:
        at += 1
    moved, inline, catalog = root.inline[:at], root.inline[at:], list(root.catalog)
    if not moved:
        return root
    if catalog and catalog[-1].n_entries + len(moved) <= PAGE_ENTRIES:
        with suppress(*UNREADABLE):  # a damaged page stays as it is, and another is begun
            moved = [*repo.objects.catalog(catalog[-1].page).entries, *moved]
            catalog.pop()
    catalog.append(_put_page(writer, moved))
    return msgspec.structs.replace(root, inline=inline, catalog=catalog)


def change(
    repo: Repository, writer: Writer, root: Root, checkpoint_id: bytes, edit: Callable[[Entry], Entry | None]
) -> Root:
    """`root` with one entry edited, or removed where `edit` returns None; raises CheckpointNotFound."""
    inline = _edited(root.inline, checkpoint_id, edit)
    if inline is not None:
        return _rolled(repo, writer, msgspec.structs.replace(root, inline=inline))
    for i, ref in enumerate(root.catalog):
        page = _edited(repo.objects.catalog(ref.page).entries, checkpoint_id, edit)
        if page is not None:
            pages = [_put_page(writer, page)] if page else []
            return msgspec.structs.replace(root, catalog=[*root.catalog[:i], *pages, *root.catalog[i + 1 :]])
    raise CheckpointNotFound(f"checkpoint {checkpoint_id.hex()[:12]} is not in the store (deleted?)")


def change_many(
    repo: Repository, writer: Writer, root: Root, ids: Collection[bytes], edit: Callable[[Entry], Entry | None],
    written: dict[str, CatalogRef],
) -> Root:  # fmt: skip
    """`root` with the entries of these ids edited, or removed where `edit` returns None; `root` itself if none changes.

    An id that is not there is passed over. written: new pages by the name of the one they replace, so that a commit
    that tries again does not write them again. REQUIRES: `edit` gives the same for the same entry each time.
    """
    left = set(ids)
    inline = _all_edited(root.inline, left, edit)
    catalog: list[CatalogRef] = []
    for ref in reversed(root.catalog):
        catalog.extend(_page_edited(repo, writer, ref, left, edit, written) if left else [ref])
    catalog.reverse()
    if inline is root.inline and catalog == root.catalog:
        return root
    return _rolled(repo, writer, msgspec.structs.replace(root, inline=inline, catalog=catalog))


def _page_edited(
    repo: Repository, writer: Writer, ref: CatalogRef, left: set[bytes], edit: Callable[[Entry], Entry | None],
    written: dict[str, CatalogRef],
) -> list[CatalogRef]:  # fmt: skip
    old = repo.objects.catalog(ref.page).entries
    new = _all_edited(old, left, edit)
    if new is old or not new:
        return [ref] if new else []
    if ref.page.name not in written:
        written[ref.page.name] = _put_page(writer, new)
    return [written[ref.page.name]]


def _all_edited(old: list[Entry], left: set[bytes], edit: Callable[[Entry], Entry | None]) -> list[Entry]:
    """`old` edited, or `old` itself if nothing changes; takes the ids it finds off `left`."""
    here = {entry.id for entry in old} & left
    left -= here
    new = [edit(entry) if entry.id in here else entry for entry in old]
    same = all(one is other for one, other in zip(new, old, strict=True))
    return old if same else [entry for entry in new if entry is not None]


def _edited(old: list[Entry], checkpoint_id: bytes, edit: Callable[[Entry], Entry | None]) -> list[Entry] | None:
    at = next((i for i, entry in enumerate(old) if entry.id == checkpoint_id), None)
    if at is None:
        return None
    new = edit(old[at])
    return [*old[:at], *([new] if new is not None else []), *old[at + 1 :]]


def _put_page(writer: Writer, page: list[Entry]) -> CatalogRef:
    return CatalogRef(writer.put(CATALOG, CatalogPage(page)), len(page))


def check_free(repo: Repository, root: Root, tags: Collection[str]) -> None:
    """Raise RefMoved if one of `tags` names a checkpoint already."""
    for entry in readable(repo, root) if tags else ():
        for tag in entry.tags:
            if tag in tags:
                raise taken(tag, entry)


def taken(tag: str, entry: Entry) -> RefMoved:
    """The error for a tag that names another checkpoint."""
    where = f"{entry.run}@{entry.step}"
    return RefMoved(f"tag {tag!r} names {where} already; move it with move=True (`ckstore tag --move`)", tag=tag)
