"""Support: frames that live only as bases. No live manifest names their chunk, but live frames are decoded from them.

New support arises only where a checkpoint goes (or loses leaves), in packs that its closure listed, and never in a pack
whose own saver's manifest is live: all that a saver writes is in its manifest. So most packs need not be looked into.
For the others, the closures and manifests of all checkpoints that use them are read: a frame there can concern nobody
else. What is overlooked costs space, never a checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ckstore.engine.gc import frames
from ckstore.engine.gc.frames import Frames, Keys, KeySet, Numbers, pack_of
from ckstore.engine.gc.uses import Uses
from ckstore.engine.reach import Object
from ckstore.errors import UNREADABLE, UnsupportedError
from ckstore.format.names import CLOSURE, MANIFEST, writer_of
from ckstore.format.records import Entry
from ckstore.store.repository import Repository

Mask = npt.NDArray[np.bool_]


def suspects(repo: Repository, uses: Uses, dead: Mapping[Object, int], everywhere: bool) -> Mask:
    """Packs in which there may be support since these objects (with their bytes) died, by number."""
    savers = {writer_of(entry.manifest.name) for entry in uses.entries}
    foreign = np.array([writer_of(name) not in savers for name in uses.packs.names], np.bool_)
    if everywhere:
        return foreign
    if not may_be_new(dead):
        return np.zeros(len(foreign), np.bool_)
    touched: set[str] = set()
    for (kind, name), n_bytes in dead.items():
        if kind == CLOSURE:
            try:
                head = repo.objects.closure(repo.objects.unnamed(CLOSURE, name, n_bytes))
                touched.update(use.name for use in head.packs)
            except (*UNREADABLE, UnsupportedError):
                return foreign
    return foreign & uses.mask(touched)


def may_be_new(dead: Mapping[Object, int]) -> bool:
    """Whether there can be new support since these objects died."""
    return any(kind == MANIFEST for kind, _ in dead)


class Groups(NamedTuple):
    """Support frames that hang together, and the live frames directly on top of them, as columns over all groups."""

    tops: Keys
    """Sorted."""
    top_group: Numbers
    top_bytes: Numbers
    """About what each would take without bases."""
    freed_bytes: Numbers
    """By group: stored bytes of the support."""
    cost_bytes: Numbers
    """By group: of all its tops."""
    support: Keys
    support_group: Numbers


def find(repo: Repository, uses: Uses, suspected: Mask) -> Groups | None:
    """All support in the suspected packs, but for those that an unreadable checkpoint uses; None if there is none."""
    suspected = suspected.copy()
    support, n_bytes = _support(repo, uses, suspected)
    if not len(support):
        return None
    tops, top_bytes, edges = _tops(repo, uses, support)
    nodes = np.union1d(support, tops)
    label = _joined(np.searchsorted(nodes, edges), len(nodes))
    of_support, of_tops = label[np.searchsorted(nodes, support)], label[np.searchsorted(nodes, tops)]
    freed = np.bincount(of_support, n_bytes, len(nodes)).astype(np.int64)
    cost = np.bincount(of_tops, top_bytes, len(nodes)).astype(np.int64)
    return Groups(tops, of_tops, top_bytes, freed, cost, support, of_support)


def _support(repo: Repository, uses: Uses, suspected: Mask) -> tuple[Keys, Numbers]:
    """(frames of suspected packs that some closure lists and no manifest names, their bytes)."""
    listed, named = KeySet(), KeySet()
    for entry in uses.users(suspected):
        try:
            rows = frames.read(repo, entry, uses.packs)
            is_named = np.isin(rows.chunks, frames.direct(repo, entry))
        except (*UNREADABLE, UnsupportedError):
            suspected &= ~uses.mask({use.name for use in repo.objects.closure(entry.closure).packs})
            continue
        mine = in_packs(rows.keys, suspected)
        listed.add(rows.keys[mine], rows.frame_bytes[mine])
        named.add(rows.keys[mine & is_named], rows.frame_bytes[mine & is_named])
    keys, n_bytes = listed.sorted()
    alone = ~np.isin(keys, named.sorted()[0]) & in_packs(keys, suspected)
    return keys[alone], n_bytes[alone]


def in_packs(keys: Keys, packs: Mask) -> Mask:
    """Which frames lie in these packs."""
    numbers = pack_of(keys)
    return (numbers < len(packs)) & packs[np.minimum(numbers, len(packs) - 1)]


def users(uses: Uses, keys: Keys) -> list[Entry]:
    """The checkpoints that use the packs in which these frames lie, oldest first."""
    packs = np.zeros(len(uses.sizes), np.bool_)
    packs[np.unique(pack_of(keys))] = True
    return uses.users(packs)


def _tops(repo: Repository, uses: Uses, support: Keys) -> tuple[Keys, Numbers, Keys]:
    """(live frames directly on top of support, about what each takes alone, all pairs of a frame and its support)."""
    tops, pairs = KeySet(), [np.empty((0, 2), np.uint64)]
    for entry in users(uses, support):
        try:
            rows = frames.read(repo, entry, uses.packs)
        except (*UNREADABLE, UnsupportedError):
            continue
        above = on_top(rows, support)
        pairs.append(np.unique(rows.keys[above], axis=0))
        mine = above[~np.isin(rows.keys[above[:, 0]], support), 0]
        tops.add(rows.keys[mine], rows.alone_bytes()[mine])
    keys, n_bytes = tops.sorted()
    return keys, n_bytes, np.unique(np.concatenate(pairs), axis=0)


def on_top(rows: Frames, support: Keys) -> Numbers:
    """The edges of a closure that end in one of these frames."""
    return rows.edges[np.isin(rows.keys[rows.edges[:, 1]], support)]


def _joined(edges: Numbers, n: int) -> Numbers:
    """Of n nodes, the least one that each hangs together with."""
    label = np.arange(n)
    while True:
        least = np.minimum(label[edges[:, 0]], label[edges[:, 1]])
        new = label.copy()
        np.minimum.at(new, edges[:, 0], least)
        np.minimum.at(new, edges[:, 1], least)
        new = new[new]
        if np.array_equal(new, label):
            return label
        label = new
