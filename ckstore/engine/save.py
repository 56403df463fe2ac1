"""save(): a state's tensors → chunks → frames → packs → manifest and closure → root. restore.py is its mirror."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from ckstore.codec.levels import Level
from ckstore.engine import catalog, chunking, companions, nearest
from ckstore.engine.closures import ClosureBuilder, holders
from ckstore.engine.encode import Encoder, Outcome, job_bytes
from ckstore.engine.hyper import Settings
from ckstore.engine.labels import Intent
from ckstore.engine.lookup import Lookup
from ckstore.engine.parent import Parent
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE, StorageError, UsageError
from ckstore.format import closure, envelope, manifest
from ckstore.format.manifest import ChunkColumns, Table
from ckstore.format.names import CLOSURE, MANIFEST
from ckstore.format.records import (
    EMPTY,
    Closure,
    Entry,
    Manifest,
    NodeRow,
    ObjectRef,
    PageRef,
    Root,
    Shard,
    TensorRow,
    ValueRow,
)
from ckstore.store import reserve
from ckstore.store.packs import PACK_BYTES, PackWriter
from ckstore.store.roots import root_bytes
from ckstore.store.writer import Writer, until_not_expired
from ckstore.tensor import TensorView

StateRow = NodeRow | ValueRow | TensorView


def save(session: Session, state: Sequence[StateRow], intent: Intent, level: Level = Level.BALANCED) -> Entry:
    """Save a flattened state as a new checkpoint. DURABLE when it returns; on any error nothing was published.

    level: how hard the codec tries.

    Raises UsageError, ConflictError (a tag is taken), CorruptError, StorageError.
    """
    with session.uninterrupted() as mine:
        return until_not_expired(lambda: _attempt(mine, state, intent, level))


def _attempt(session: Session, state: Sequence[StateRow], intent: Intent, level: Level) -> Entry:
    with session.repo.writer() as writer:
        catalog.check_free(session.repo, writer.root, intent.tags)
        step = _step(session, writer.root, intent)
        views = [row for row in state if isinstance(row, TensorView)]
        base, parent = _parent(session, writer.root, intent, views)
        session.bases.keep_only(parent.row_of.__contains__)
        live_packs = frozenset(session.repo.segments.live_packs(writer.root))
        lookup = Lookup(session.repo, writer.root, parent, live_packs)
        encoder = Encoder(session, writer.root, parent, lookup, level)
        settled = chunking.settled(views, parent, lookup.holds)
        families = companions.find(views, Settings(state, parent))
        jobs = chunking.jobs(views, families, writer.root.chunk_elements, settled, intent.weights_alone)
        builder, packs = ClosureBuilder(parent), writer.packs()
        columns = [_Columns() for _ in views]
        for outcomes in session.map(encoder.run, jobs, job_bytes):
            for outcome in outcomes:
                _store(outcome, builder, packs)
                columns[outcome.slot.tensor].add(outcome)
        pack_refs = packs.finish()
        table = _table(state, columns)
        entry, made = _put(writer, intent, step, base, parent, table, builder, pack_refs)
        root = _commit(session, writer, builder, made, entry, pack_refs, intent)
        if sum(ref.n_bytes for ref in pack_refs) >= PACK_BYTES:  # small stores do without: it would be most of them
            with suppress(StorageError):  # the checkpoint is published: nothing may say otherwise now
                reserve.make(session.repo.fs)
    session.repo.packs.close_idle()
    saved = root.inline[-1] if root.inline[-1].id == entry.id else entry
    session.remember(saved, made)
    return saved


def _parent(session: Session, root: Root, intent: Intent, views: Sequence[TensorView]) -> tuple[Entry | None, Parent]:
    if intent.parent is None:
        return None, Parent()
    if intent.parent != "auto":
        entry = catalog.resolve(session.repo, root, intent.parent)
        return entry, session.parent(entry)
    newest = next((entry for entry in catalog.readable(session.repo, root) if entry.run == intent.run), None)
    if newest is None:
        return nearest.find(session, root, views) or (None, Parent())
    try:
        return newest, session.parent(newest)
    except UNREADABLE:
        return None, Parent()  # damage to an old checkpoint must not stop the training: this one stands alone


class _Columns:
    """The chunk ids of one tensor while they come in, in order."""

    def __init__(self) -> None:
        self.ids: list[bytes] = []
        self.hashes: list[bytes] = []

    def add(self, outcome: Outcome) -> None:
        self.ids.append(outcome.chunk_id)
        self.hashes.append(outcome.quick_hash)


def _store(outcome: Outcome, builder: ClosureBuilder, packs: PackWriter) -> None:
    if outcome.row is not None:
        builder.take(outcome.row)
    elif outcome.found:
        builder.add_found(outcome.found)
    elif outcome.frame is not None and outcome.chunk_id not in builder:
        frame = outcome.frame.frame
        base_ids = tuple(base.chunk_id for base in frame.bases)
        builder.add_new(outcome.chunk_id, packs.append(outcome.frame), frame.logical_bytes, base_ids)


def _table(state: Sequence[StateRow], columns: list[_Columns]) -> Table:
    """The manifest's rows: tensors with their chunk ids, or with their bytes where they are small."""
    table: Table = []
    waiting = iter(columns)
    for row in state:
        if not isinstance(row, TensorView):
            table.append((row, ChunkColumns()))
            continue
        mine = next(waiting)
        n_chunks, shape = len(mine.ids), list(row.shape)
        inline = None if n_chunks else bytes(row.read(0, row.nbytes))
        shards = [Shard([0] * len(shape), shape, n_chunks)] if n_chunks else []
        tensor = TensorRow(row.path, row.kind, row.dtype, shape, row.attrs, inline, shards)
        table.append((tensor, ChunkColumns(b"".join(mine.ids), b"".join(mine.hashes))))
    return table


def _put(
    writer: Writer, intent: Intent, step: int, base: Entry | None, parent: Parent, table: Table,
    builder: ClosureBuilder, packs: Sequence[ObjectRef],
) -> tuple[Entry, Parent]:  # fmt: skip
    """Write manifest and closure; (the entry that will name them, the new checkpoint as a parent)."""
    rows, now = builder.rows(packs), time.time_ns()
    n_bytes = sum(manifest.tensor_bytes(row) for row, _ in table if isinstance(row, TensorRow))
    manifest.check(table, "the new manifest", writer.root.chunk_elements)
    pages = manifest.to_pages(table)

    def manifest_head(refs: list[PageRef]) -> Manifest:
        return Manifest(intent.run, step, now, writer.write_id, n_bytes, len(table), refs, EMPTY)

    what, what_pages = writer.put_paged(
        MANIFEST, pages, [len(page.rows) for page in pages], parent.shared_manifest_pages, manifest_head
    )
    where_pages = closure.to_pages(rows)

    def closure_head(refs: list[PageRef]) -> Closure:
        return Closure(len(rows), closure.pack_uses(rows), holders(what_pages, refs), refs, EMPTY)

    n_rows = [len(page.chunk_ids) // 32 for page in where_pages]
    where, closure_pages = writer.put_paged(CLOSURE, where_pages, n_rows, parent.shared_closure_pages, closure_head)
    entry = Entry(
        id=what.digest, run=intent.run, step=step, time_ns=now, logical_bytes=n_bytes, stored_bytes=0, manifest=what,
        closure=where, parent=base.id if base else b"", metrics=intent.metrics, tags=intent.tags,
        meta=envelope.encode_map(intent.meta), write_id=writer.write_id,
        n_tensors=sum(isinstance(row, TensorRow) for row, _ in table), extra=EMPTY,
    )  # fmt: skip
    return entry, Parent(entry.id, what, where, table, rows, what_pages, closure_pages)


def _step(session: Session, root: Root, intent: Intent) -> int:
    if intent.step is not None:
        return intent.step
    mine = (entry.step for entry in catalog.readable(session.repo, root) if entry.run == intent.run)
    step = next(mine, -1) + 1
    if step >= 1 << 63:
        raise UsageError(f"no step comes after {step - 1}, the last of run {intent.run!r}: give a step")
    return step


def _commit(
    session: Session, writer: Writer, builder: ClosureBuilder, made: Parent, entry: Entry,
    packs: Sequence[ObjectRef], intent: Intent,
) -> Root:  # fmt: skip
    fresh = builder.segment_rows(packs)
    segments = [writer.put_segment(fresh)] if fresh else []
    pack_bytes = sum(ref.n_bytes for ref in packs)
    needed = builder.needed()
    needed.update({holder: [] for holder in holders(made.manifest_pages, made.closure_pages)})

    def extend(base: Root) -> Root:
        catalog.check_free(session.repo, base, intent.tags)  # somebody may have taken one meanwhile
        merged = writer.merge_segments([*base.segments, *segments])
        base = msgspec.structs.replace(base, segments=merged)
        return _with_size(catalog.append(session.repo, writer, base, entry), pack_bytes + writer.added_bytes)

    return writer.commit(extend, needed)


def _with_size(root: Root, other_bytes: int) -> Root:
    """`root` with its newest entry's stored_bytes: all files this save adds, the root itself included."""
    entry, size = root.inline[-1], 0
    while True:  # the number's own length depends on the number; it only grows, so this ends
        named = msgspec.structs.replace(entry, stored_bytes=other_bytes + size)
        sized = msgspec.structs.replace(root, inline=[*root.inline[:-1], named])
        full = msgspec.structs.replace(sized, number=root.number + 1, previous=bytes(32), write_id=bytes(16))
        if root_bytes(full) <= size:
            return sized
        size = root_bytes(full)
