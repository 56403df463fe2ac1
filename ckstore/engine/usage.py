"""How much a store, its runs, its checkpoints and their leaves take."""

from __future__ import annotations

from collections import Counter

from ckstore.engine import catalog, reach
from ckstore.engine.parent import load_parent
from ckstore.engine.reports import CheckpointUsage, LeafInfo, RunStats, StatsReport, UsageReport
from ckstore.engine.session import Session
from ckstore.format.closure import Row
from ckstore.format.frame import CODEC_NAMES
from ckstore.format.manifest import ChunkColumns, tensor_bytes
from ckstore.format.names import DIRECTORY
from ckstore.format.records import Entry, Root, TensorRow, ValueRow
from ckstore.store.repository import Repository
from ckstore.tensor import dotted


def stats(session: Session) -> StatsReport:
    """Counts and sizes of the whole store."""
    return session.repo.at_newest(lambda root: _stats(session.repo, root))


def _stats(repo: Repository, root: Root) -> StatsReport:
    entries = list(catalog.entries(repo, root))
    runs: dict[str, list[Entry]] = {}
    for entry in reversed(entries):
        runs.setdefault(entry.run, []).append(entry)
    total = sum(sum(repo.fs.sizes(directory).values()) for directory in DIRECTORY.values())
    return StatsReport(
        n_checkpoints=len(entries),
        logical_bytes=sum(entry.logical_bytes for entry in entries),
        stored_bytes=total,
        n_packs=len(repo.segments.live_packs(root)),
        n_chunks=sum(repo.objects.segment(ref).n_rows for ref in root.segments),
        root_number=root.number,
        runs=[_run_stats(run, mine) for run, mine in runs.items()],
    )


def _run_stats(run: str, mine: list[Entry]) -> RunStats:
    return RunStats(run, len(mine), sum(e.logical_bytes for e in mine), sum(e.stored_bytes for e in mine))


def usage(session: Session) -> UsageReport:
    """What each checkpoint takes, and what deleting it alone would free."""
    return session.repo.at_newest(lambda root: _usage(session.repo, root))


def _usage(repo: Repository, root: Root) -> UsageReport:
    entries = list(catalog.entries(repo, root))
    sizes = reach.on_disk(repo)
    needs = {entry.id: set(reach.of_entry(repo, entry)) for entry in entries}
    users = Counter(item for mine in needs.values() for item in mine)
    checkpoints = [
        CheckpointUsage(
            entry.id.hex(), f"{entry.run}@{entry.step}", entry.stored_bytes,
            sum(sizes.get(item, 0) for item in needs[entry.id] if users[item] == 1),
        )
        for entry in reversed(entries)
    ]  # fmt: skip
    dead = sizes.keys() - reach.of_root(repo, root)
    total = sum(sizes.values()) + sum(repo.fs.sizes("root").values())
    return UsageReport(total, sum(sizes[item] for item in dead), checkpoints)


def freed_by(session: Session, ids: set[bytes]) -> int:
    """Bytes gc would free if these checkpoints were deleted, on top of what it would free now."""
    repo = session.repo

    def freed(root: Root) -> int:
        sizes = reach.on_disk(repo)
        return sum(sizes.get(item, 0) for item in reach.exclusive(repo, catalog.entries(repo, root), ids))

    return repo.at_newest(freed)


def leaves(session: Session, entry: Entry) -> list[LeafInfo]:
    """Every tensor and plain value of a checkpoint, in tree order."""
    repo = session.repo
    whole = load_parent(repo, entry)
    rows, frames = whole.rows, [chain.frames for chain in whole.chains]
    codecs = _Codecs(repo)
    found: list[LeafInfo] = []
    for row, columns in whole.table:
        if isinstance(row, TensorRow):
            mine = [whole.row_of[columns.chunk_id(i)] for i in range(columns.n_chunks)]
            found.append(_tensor_info(row, columns, [rows[i] for i in mine], [frames[i] for i in mine], codecs))
        elif isinstance(row, ValueRow):
            found.append(LeafInfo(dotted(tuple(row.path)), "value", "", [], len(row.data), len(row.data), 0, 0, {}))
    return found


def _tensor_info(
    row: TensorRow, columns: ChunkColumns, mine: list[Row], frames: list[int], codecs: _Codecs
) -> LeafInfo:
    stored = len(row.inline) if row.inline is not None else sum(item.frame_bytes for item in mine)
    used = Counter(codecs.of(item) for item in mine) if row.inline is None else Counter({"inline": 1})
    return LeafInfo(
        dotted(tuple(row.path)), row.kind, row.dtype, row.shape, tensor_bytes(row), stored,
        columns.n_chunks, max(frames, default=0), dict(used),
    )  # fmt: skip


class _Codecs:
    """Codec names of frames, from the fifth byte of each."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def of(self, row: Row) -> str:
        head = self._repo.packs.read(row.pack.name, row.offset, 8)
        return CODEC_NAMES.get(head[4], "unknown") if len(head) > 4 else "missing"
