"""What of a checkpoint can still be read, where some of it is damaged: partial loads. Pure but for `damaged`.

What is one object is whole or missing: a composite with all its parts, tensors that are tied, views of one buffer.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from blake3 import blake3

from ckstore.engine.decode import Decoder
from ckstore.engine.parent import load_closure
from ckstore.engine.restore import again
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE, MissingObjectError
from ckstore.format.closure import Row
from ckstore.format.manifest import ManifestRow, Table, is_composite
from ckstore.format.records import Entry, NodeRow, TensorRow
from ckstore.tensor import Path, dotted


def damaged(session: Session, entry: Entry, table: Table, wanted: Sequence[ManifestRow]) -> dict[Path, str]:
    """Tensors among `wanted` that cannot be read, each with what is wrong with it. All their chunks are decoded once.

    Raises MissingObjectError if the newest root has another closure for the checkpoint: load that one.
    """
    paths = {row.path for row in wanted}
    mine = [(row, columns) for row, columns in table if isinstance(row, TensorRow) and row.path in paths]
    ids = {columns.chunk_id(i) for _, columns in mine for i in range(columns.n_chunks)}
    problems = _problems(session, entry, ids)
    found: dict[Path, str] = {}
    for row, columns in mine:
        bad = (problems[chunk] for i in range(columns.n_chunks) if (chunk := columns.chunk_id(i)) in problems)
        if (problem := next(bad, None)) is not None:
            found[row.path] = problem
    return found


def _problems(session: Session, entry: Entry, ids: set[bytes]) -> dict[bytes, str]:
    """By chunk id, why that chunk cannot be read."""
    try:
        rows = load_closure(session.repo, entry)[0] if ids else []
    except UNREADABLE as error:
        _raise_if_moved(session, entry, error)
        return dict.fromkeys(ids, f"{error}; `ckstore repair` makes a new closure")
    number = {row.chunk_id: i for i, row in enumerate(rows)}
    found = dict.fromkeys(ids - number.keys(), f"closure {entry.closure.name} lacks one of its chunks")
    targets = sorted(number[chunk] for chunk in ids & number.keys())
    for i, problem in session.map(_Check(session, rows), targets, lambda i: 6 * rows[i].logical_bytes):
        if problem is not None:
            _raise_if_moved(session, entry, problem)
            found[rows[i].chunk_id] = str(problem)
    return found


class _Check:
    """Decodes one row and compares its id."""

    def __init__(self, session: Session, rows: Sequence[Row]) -> None:
        self._repo, self._rows = session.repo, rows

    def __call__(self, i: int) -> tuple[int, Exception | None]:
        try:
            data = Decoder(self._repo, self._rows).chunk(i)
        except UNREADABLE as error:
            return i, error
        same = blake3(data).digest() == self._rows[i].chunk_id
        return i, None if same else ValueError("decoded bytes do not match their BLAKE3 id")


def _raise_if_moved(session: Session, entry: Entry, error: Exception) -> None:
    """Raise `error` again if it is a missing object that the newest root does not name for this checkpoint any more."""
    if isinstance(error, MissingObjectError):
        fresh = again(session, entry, [])
        if (fresh.manifest, fresh.closure) != (entry.manifest, entry.closure):
            raise error


def without(rows: Sequence[ManifestRow], missing: Mapping[Path, str]) -> tuple[list[ManifestRow], dict[Path, str]]:
    """(the rows of intact leaves, as select() would give them; all leaves that are missing, with the reasons)."""
    lost = dict(missing)
    while more := {**_of_composites(rows, lost), **_of_ties(rows, lost)}:
        lost.update(more)
    composites = {row.path for row in rows if is_composite(row)}
    leaves = {path: why for path, why in lost.items() if not _below(path, composites)}
    return _pruned(rows, lost), leaves


def _of_composites(rows: Sequence[ManifestRow], lost: Mapping[Path, str]) -> dict[Path, str]:
    """Composites and parts that go with a part that is lost."""
    why: dict[Path, str] = {}
    for row in rows:
        if is_composite(row):
            parts = [path for path in lost if path[: len(row.path)] == row.path]
            why.update({row.path: f"its part {dotted(parts[0])}: {lost[parts[0]]}"} if parts else {})
    parts_too = {row.path: why[whole] for row in rows for whole in _above(row.path, why.keys())}
    return {path: reason for path, reason in {**parts_too, **why}.items() if path not in lost}


def _of_ties(rows: Sequence[ManifestRow], lost: Mapping[Path, str]) -> dict[Path, str]:
    """Tensors that are one object, or views of one buffer, with one that is lost."""
    groups: dict[tuple[str, object], list[Path]] = {}
    for row in rows:
        if isinstance(row, TensorRow):
            shared = row.attrs.get("shared")
            keys = [
                ("same", row.attrs.get("same")),
                ("shared", shared.get("group") if isinstance(shared, dict) else None),
            ]
            for name, number in keys:
                if isinstance(number, int):
                    groups.setdefault((name, number), []).append(row.path)
    found: dict[Path, str] = {}
    for members in groups.values():
        cause = next((path for path in members if path in lost), None)
        if cause is not None:
            reason = f"shares memory with {dotted(cause)}: {lost[cause]}"
            found.update({path: reason for path in members if path not in lost})
    return found


def _pruned(rows: Sequence[ManifestRow], lost: Mapping[Path, str]) -> list[ManifestRow]:
    """`rows` without those lost and without containers that have lost all they held; the outermost one stays."""
    filled = {row.path[:-1] for row in rows if row.path}
    kept: list[ManifestRow] = []
    alive: set[Path] = set()
    for row in reversed(rows):
        emptied = isinstance(row, NodeRow) and row.path in filled and row.path not in alive
        if row.path in lost or (emptied and row.path):
            continue
        alive.add(row.path[:-1])
        kept.append(row)
    return kept[::-1]


def _above(path: Path, wholes: Container[Path]) -> list[Path]:
    return [path[:n] for n in range(len(path)) if path[:n] in wholes]


def _below(path: Path, composites: Container[Path]) -> bool:
    return bool(_above(path, composites))
