"""Parts of a state by patterns over dotted paths: the rows that match, or all the others. Pure: rows in, rows out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase

from ckstore.errors import NotFoundError, UsageError
from ckstore.format.manifest import SEQUENCES, ManifestRow, is_composite
from ckstore.format.records import NodeRow, ValueRow
from ckstore.tensor import Path, dotted

NONE = b"\xc0"
"""None as a plain value (FORMAT.md §10)."""

_SHOWN = 3
_COMPARED = 2000
"""Paths that a pattern without a match is compared with: that is slow."""


@dataclass(slots=True)
class _Leaf:
    """A tensor, a plain value, an empty container, or a composite with the paths of all its parts."""

    path: Path
    parts: list[Path] = field(default_factory=list)

    @property
    def name(self) -> str:
        return dotted(self.path)


def select(rows: Sequence[ManifestRow], patterns: Sequence[str] | str) -> list[ManifestRow]:
    """Rows whose leaf's dotted path matches a pattern (fnmatch, case matters); an empty container counts as a leaf.

    Raises NotFoundError if nothing matches: a typing error must not look like an empty state.
    """
    wanted = listed(patterns, "select=")
    leaves = _leaves(rows)
    chosen = [leaf for leaf in leaves if matches(leaf.name, wanted)]
    if not chosen:
        raise _nothing(f"select={patterns!r:.200}", wanted, leaves)
    needed = _needed(rows, chosen)
    return [row for row in rows if row.path in needed]


def without(rows: Sequence[ManifestRow], patterns: Sequence[str] | str) -> list[ManifestRow]:
    """The rows that select() would give for all leaves that match no pattern, and None where a sequence has holes.

    Raises NotFoundError if there is nothing to drop, UsageError if nothing would be left.
    """
    unwanted = listed(patterns, "drop=")
    leaves = _leaves(rows)
    kept = [leaf for leaf in leaves if not matches(leaf.name, unwanted)]
    if not kept and leaves:
        raise UsageError(f"drop={patterns!r:.200} matches every leaf: nothing would be left; delete the checkpoint")
    left = _with_holes(rows, _needed(rows, kept))
    if left == rows:  # a None in a list leaves a None behind: there is nothing to drop either
        raise _nothing(f"drop={patterns!r:.200}", unwanted, leaves)
    return left


def listed(patterns: Sequence[str] | str, argument: str) -> list[str]:
    """One pattern or several as a list; UsageError unless all are texts."""
    found = [patterns] if isinstance(patterns, str) else list(patterns)
    if not all(isinstance(pattern, str) for pattern in found):
        raise UsageError(f"{argument} takes patterns of text, not {patterns!r:.200}")
    return found


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a dotted path matches one of the patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _leaves(rows: Sequence[ManifestRow]) -> list[_Leaf]:
    filled = {row.path[:-1] for row in rows if row.path}
    leaves: list[_Leaf] = []
    whole: _Leaf | None = None  # the composite whose parts are passing by
    for row in rows:
        if whole is not None and row.path[: len(whole.path)] == whole.path:
            whole.parts.append(row.path)
            continue
        whole = None
        if is_composite(row) or not isinstance(row, NodeRow) or row.path not in filled:
            leaves.append(_Leaf(row.path))
            whole = leaves[-1] if is_composite(row) else None
    return leaves


def _needed(rows: Sequence[ManifestRow], leaves: Sequence[_Leaf]) -> set[Path]:
    """The paths of leaves, of their parts, and of all containers around them; a container that is all is needed."""
    needed: set[Path] = {()} if rows and isinstance(rows[0], NodeRow) and not is_composite(rows[0]) else set()
    for leaf in leaves:
        needed.update(leaf.path[:n] for n in range(len(leaf.path) + 1))
        needed.update(leaf.parts)
    return needed


def _with_holes(rows: Sequence[ManifestRow], needed: set[Path]) -> list[ManifestRow]:
    """`rows` of `needed` paths, with None wherever a sequence among them has lost an item."""
    left: list[ManifestRow] = []
    sequences: set[Path] = set()
    for row in rows:
        if row.path in needed:
            left.append(row)
            if isinstance(row, NodeRow) and row.kind in SEQUENCES:
                sequences.add(row.path)
        elif row.path[:-1] in sequences:
            left.append(ValueRow(row.path, NONE))
    return left


def _nothing(argument: str, patterns: Sequence[str], leaves: Sequence[_Leaf]) -> NotFoundError:
    by_folded = {leaf.name.lower(): leaf.name for leaf in leaves[:_COMPARED]}
    near = [by_folded[name] for word in patterns for name in get_close_matches(word.lower(), by_folded, _SHOWN, 0.3)]
    names = ", ".join(dict.fromkeys((near or [leaf.name for leaf in leaves])[:_SHOWN]))
    return NotFoundError(f"no leaf matches {argument}; the nearest are: {names:.500}")
