"""The rows of the leaves that match patterns, and of what holds them."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from ckstore.adapters.composites import is_composite
from ckstore.adapters.rows import LoadedRow
from ckstore.errors import NotFoundError, UsageError
from ckstore.format.records import NodeRow
from ckstore.tensor import Path, dotted

_SHOWN = 3
_COMPARED = 2000
"""Paths that a pattern without a match is compared with: that is slow."""


def select(rows: Sequence[LoadedRow], patterns: Sequence[str] | str) -> list[LoadedRow]:
    """Rows whose leaf's dotted path matches a pattern (fnmatch, case matters); an empty container counts as a leaf.

    Raises NotFoundError if nothing matches: a typing error must not look like an empty state.
    """
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    if not all(isinstance(pattern, str) for pattern in wanted):
        raise UsageError(f"select= takes patterns of text, not {patterns!r:.200}")
    paths = [row.path for row in rows]
    filled = {path[:-1] for path in paths if path}
    needed: set[Path] = {()} if rows and isinstance(rows[0], NodeRow) and not is_composite(rows[0]) else set()
    whole: Path | None = None  # the composite whose parts are passing by
    leaves: list[str] = []
    found = False
    for row, path in zip(rows, paths, strict=True):
        if whole is not None and path[: len(whole)] == whole:
            if whole in needed:
                needed.add(path)
            continue
        whole = path if is_composite(row) else None
        is_leaf = not isinstance(row, NodeRow) or whole is not None or path not in filled
        if is_leaf:
            leaves.append(dotted(path))
            if any(fnmatchcase(leaves[-1], pattern) for pattern in wanted):
                found = True
                needed.update(path[:n] for n in range(len(path) + 1))
    if not found:
        raise _nothing(patterns, wanted, leaves)
    return [row for row, path in zip(rows, paths, strict=True) if path in needed]


def _nothing(patterns: Sequence[str] | str, wanted: Sequence[str], leaves: Sequence[str]) -> NotFoundError:
    by_folded = {leaf.lower(): leaf for leaf in leaves[:_COMPARED]}
    near = [by_folded[name] for word in wanted for name in get_close_matches(word.lower(), by_folded, _SHOWN, 0.3)]
    names = ", ".join(dict.fromkeys((near or [*leaves])[:_SHOWN]))
    return NotFoundError(f"no leaf matches select={patterns!r:.200}; the nearest are: {names:.500}")
