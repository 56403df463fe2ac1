"""Old roots: how far they may be trimmed, and their removal once a durable root says so."""

from __future__ import annotations

import time

from ckstore.engine.reach import Object
from ckstore.format.names import DIRECTORY, ROOT, root_number, root_path
from ckstore.format.records import Root
from ckstore.store.repository import Repository

KEEP_ROOTS, MAX_ROOTS, KEEP_ROOTS_S = 100, 1000, 3600.0


def trim_to(repo: Repository, base: Root) -> int:
    """Up to which number roots may go: all but the newest 100 and the last hour's, at most 1,000 in all."""
    if base.number - base.trimmed_to <= 2 * KEEP_ROOTS:
        return base.trimmed_to
    limit, oldest_kept = base.number - KEEP_ROOTS, base.number - MAX_ROOTS
    now, trim = time.time(), max(base.trimmed_to, oldest_kept)
    numbers = (n for n in map(root_number, repo.fs.names(DIRECTORY[ROOT])) if n is not None)
    for number in sorted(n for n in numbers if n <= limit):
        if number > trim and now - _modified(repo, number) < KEEP_ROOTS_S:
            break
        trim = max(trim, number)
    return trim


def _modified(repo: Repository, number: int) -> float:
    try:
        return repo.fs.modified(root_path(number))
    except FileNotFoundError:
        return 0.0  # another gc has just trimmed it


def old_roots(repo: Repository, trimmed_to: int) -> dict[Object, int]:
    """The roots up to that number that are still there, with their bytes."""
    sizes = repo.fs.sizes(DIRECTORY[ROOT])
    return {(ROOT, key): size for key, size in sizes.items() if 0 < (root_number(key) or 0) <= trimmed_to}


def remove_roots(repo: Repository, trimmed_to: int) -> dict[Object, int]:
    """Remove the roots up to that number; what they took. REQUIRES: a published root says that they may be gone."""
    old = old_roots(repo, trimmed_to)
    if old:
        repo.fs.sync_dir(DIRECTORY[ROOT])  # as above: another process may have published the root that says so
    for kind, key in old:
        repo.fs.remove(f"{DIRECTORY[kind]}/{key}")
    return old
