"""The rows of the leaves that match patterns, and of what holds them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from ckstore.adapters.composites import is_composite
from ckstore.adapters.rows import LoadedRow, path_of
from ckstore.format.records import NodeRow
from ckstore.tensor import Path, dotted


def select(rows: Sequence[LoadedRow], patterns: Sequence[str] | str) -> list[LoadedRow]:
    """Rows whose leaf's dotted path matches a pattern (fnmatch, case matters); an empty container counts as a leaf.

    The root stays, so that nothing matched gives an empty container (or None, if the state is one leaf).
    """
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    paths = [path_of(row) for row in rows]
    filled = {path[:-1] for path in paths if path}
    needed: set[Path] = {()} if rows and isinstance(rows[0], NodeRow) and not is_composite(rows[0]) else set()
    whole: Path | None = None  # the composite whose parts are passing by
    for row, path in zip(rows, paths, strict=True):
        if whole is not None and path[: len(whole)] == whole:
            if whole in needed:
                needed.add(path)
            continue
        whole = path if is_composite(row) else None
        is_leaf = not isinstance(row, NodeRow) or whole is not None or path not in filled
        if is_leaf and any(fnmatchcase(dotted(path), pattern) for pattern in wanted):
            needed.update(path[:n] for n in range(len(path) + 1))
    return [row for row, path in zip(rows, paths, strict=True) if path in needed]
