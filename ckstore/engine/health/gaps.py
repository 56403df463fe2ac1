"""Where in the catalog checkpoints are listed again: in the gap that a lost page leaves, or behind all others."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ckstore.engine.health.ledger import Recovered
from ckstore.engine.republish import first_epoch
from ckstore.errors import CorruptError
from ckstore.format.names import epoch_of, writer_of
from ckstore.format.records import CatalogRef, Entry, Root
from ckstore.store.repository import Repository

Gap = tuple[str, list[int]]
"""A lost page, and the epochs of the checkpoints between it and the next lost one."""


def pages_of(
    repo: Repository, root: Root, lost: Sequence[CatalogRef], recovered: Sequence[Recovered], lost_roots: bool
) -> dict[bytes, str]:
    """The lost page in whose gap a checkpoint comes, by id; what only a lost root had comes behind all others."""
    gaps = _gaps(repo, root, {ref.page.name for ref in lost})
    found = (one for one in recovered if gaps and not (one.late and lost_roots))
    return {one.entry.id: _page(one.epoch, gaps) for one in found}


def _gaps(repo: Repository, root: Root, lost: set[str]) -> list[Gap]:
    gaps: list[Gap] = []
    for ref in root.catalog:
        if ref.page.name in lost:
            gaps.append((ref.page.name, []))
        elif 0 < len(gaps) < len(lost):
            gaps[-1][1].extend(_epoch(repo, entry) for entry in repo.objects.catalog(ref.page).entries)
    return gaps


def _page(epoch: int, gaps: Sequence[Gap]) -> str:
    """The first gap behind which most began later; most, since one save may take as long as a hundred others."""
    for page, behind in gaps[:-1]:
        if behind and epoch < sorted(behind)[len(behind) // 2]:
            return page
    return gaps[-1][0]


def _epoch(repo: Repository, entry: Entry) -> int:
    with suppress(CorruptError):
        return first_epoch(repo.objects.manifest(entry.manifest), entry.manifest.name)
    return epoch_of(writer_of(entry.manifest.name) or "") or 0
