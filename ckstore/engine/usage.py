"""How much a store, its runs, its checkpoints and their leaves take."""

from __future__ import annotations

from collections import Counter

from ckstore.engine import catalog, reach
from ckstore.engine.parent import load_parent
from ckstore.engine.reports import CheckpointUsage, FreedReport, LeafInfo, RunStats, StatsReport, UsageReport
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE, MissingObjectError
from ckstore.format.closure import Row
from ckstore.format.frame import CODEC_NAMES
from ckstore.format.manifest import ChunkColumns, tensor_bytes
from ckstore.format.names import DIRECTORY, ROOT
from ckstore.format.records import Entry, Root, TensorRow, ValueRow
from ckstore.store import reserve
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
    n_bytes = {kind: sum(repo.fs.sizes(directory).values()) for kind, directory in DIRECTORY.items()}
    n_chunks, n_damaged = _chunks(repo, root)
    return StatsReport(
        n_checkpoints=len(entries),
        logical_bytes=sum(entry.logical_bytes for entry in entries),
        stored_bytes=sum(n_bytes.values()) + reserve.size(repo.fs),
        root_bytes=n_bytes[ROOT],
        n_packs=len(repo.segments.live_packs(root)),
        n_chunks=n_chunks,
        damaged_segments=n_damaged,
        root_number=root.number,
        runs=[_run_stats(run, mine) for run, mine in runs.items()],
    )


def _chunks(repo: Repository, root: Root) -> tuple[int, int]:
    """(chunks that the segments of `root` list, segments that cannot be read)."""
    n_chunks = n_damaged = 0
    for ref in root.segments:
        try:
            head = repo.objects.segment(ref)
            n_chunks += head.n_rows - head.n_gone
        except UNREADABLE as error:
            if isinstance(error, MissingObjectError) and repo.root().number != root.number:
                raise  # replaced since: Repository.at_newest looks again
            n_damaged += 1
    return n_chunks, n_damaged


def _run_stats(run: str, mine: list[Entry]) -> RunStats:
    return RunStats(run, len(mine), sum(e.logical_bytes for e in mine), sum(e.stored_bytes for e in mine))


def usage(session: Session) -> UsageReport:
    """What each checkpoint takes, and what deleting it alone would free."""
    return session.repo.at_newest(lambda root: _usage(session.repo, root))


def _usage(repo: Repository, root: Root) -> UsageReport:
    entries, read = list(catalog.entries(repo, root)), reach.Needs(repo)
    sizes = reach.on_disk(repo)
    needs = {entry.id: reach.known(repo, root, entry, read) for entry in entries}
    users = Counter(item for mine, _ in needs.values() for item in mine)
    checkpoints = [
        CheckpointUsage(
            entry.id.hex(), reach.ref_of(entry), entry.stored_bytes,
            sum(sizes.get(item, 0) for item in needs[entry.id][0] if users[item] == 1), not needs[entry.id][1],
        )
        for entry in reversed(entries)
    ]  # fmt: skip
    is_known = all(whole for _, whole in needs.values())  # else gc frees nothing
    dead = sizes.keys() - reach.of_root(repo, root, read) if is_known else ()
    total = sum(sizes.values()) + sum(repo.fs.sizes(DIRECTORY[ROOT]).values()) + reserve.size(repo.fs)
    return UsageReport(total, sum(sizes[item] for item in dead), checkpoints)


def freed_by(session: Session, ids: set[bytes]) -> FreedReport:
    """What gc would free if these checkpoints were deleted, on top of what it would free now."""
    return session.repo.at_newest(lambda root: _freed_by(session.repo, root, ids))


def _freed_by(repo: Repository, root: Root, ids: set[bytes]) -> FreedReport:
    sizes, read = reach.on_disk(repo), reach.Needs(repo)
    mine: set[reach.Object] = set()
    others: set[reach.Object] = set()
    damaged: list[str] = []
    for entry in catalog.entries(repo, root):
        objects, whole = reach.known(repo, root, entry, read)
        (mine if entry.id in ids else others).update(objects)
        if not whole:
            damaged.append(reach.ref_of(entry))
    return FreedReport(sum(sizes.get(item, 0) for item in mine - others), damaged[::-1])


def leaves(session: Session, entry: Entry) -> list[LeafInfo]:
    """Every tensor and plain value of a checkpoint, in tree order."""
    repo = session.repo
    whole = load_parent(repo, entry)
    rows = whole.rows
    codecs = _Codecs(repo)
    found: list[LeafInfo] = []
    for row, columns in whole.table:
        if isinstance(row, TensorRow):
            mine = [whole.row_of[columns.chunk_id(i)] for i in range(columns.n_chunks)]
            found.append(
                _tensor_info(row, columns, [rows[i] for i in mine], [whole.chain(i).frames for i in mine], codecs)
            )
        elif isinstance(row, ValueRow):
            found.append(LeafInfo(dotted(row.path), "value", "", [], len(row.data), len(row.data), 0, 0, {}))
    return found


def _tensor_info(
    row: TensorRow, columns: ChunkColumns, mine: list[Row], frames: list[int], codecs: _Codecs
) -> LeafInfo:
    stored = len(row.inline) if row.inline is not None else sum(item.frame_bytes for item in mine)
    used = Counter(codecs.of(item) for item in mine) if row.inline is None else Counter({"inline": 1})
    return LeafInfo(
        dotted(row.path), row.kind, row.dtype, row.shape, tensor_bytes(row), stored,
        columns.n_chunks, max(frames, default=0), dict(used),
    )  # fmt: skip


class _Codecs:
    """Codec names of frames, from the fifth byte of each."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def of(self, row: Row) -> str:
        head = self._repo.packs.read(row.pack.name, row.offset, 8)
        return CODEC_NAMES.get(head[4], "unknown") if len(head) > 4 else "missing"
