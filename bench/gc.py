"""`python -m bench gc`: what a garbage collection and a save cost beside very many checkpoints.

The stores are synthetic: manifests, closures, segments and a catalog as saves write them, with packs that are sparse
files of the right size. No frame is ever read by what is measured here.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from rich.table import Table

import ckstore
from bench import memory
from ckstore.format import envelope, segment
from ckstore.format.names import CATALOG, CLOSURE, MANIFEST, PACK, object_path
from ckstore.format.records import (
    EMPTY,
    CatalogPage,
    CatalogRef,
    Closure,
    ClosurePage,
    Entry,
    Manifest,
    ManifestPage,
    ObjectRef,
    PackUse,
    PageRef,
    Root,
    Shard,
    TensorRow,
)  # fmt: skip
from ckstore.format.segment import Columns
from ckstore.store.fs import LocalFs
from ckstore.store.repository import Repository, initialize
from ckstore.store.settings import Settings
from ckstore.store.writer import Writer

FRAME_BYTES = 700_000
PACKS_EACH = 12
CLOSURE_ROWS, SEGMENT_ROWS = 256, 1 << 19
LIMIT_S, LIMIT_BYTES = 20.0, 500 << 20


@dataclass(frozen=True)
class Cost:
    """What was measured on one store."""

    checkpoints: int
    chunks: int
    packs: int
    gc_s: float
    gc_peak_bytes: int | None
    delete_gc_s: float
    freed_bytes: int
    save_s: float


class _Unsynced(LocalFs):
    """The file system without waiting for the disk: the building of a store is not measured."""

    def sync_file(self, fd: int, path: str) -> None:
        pass

    def sync_dir(self, directory: str) -> None:
        pass


def build(path: Path, checkpoints: int, chunks: int) -> None:
    """A store of so many checkpoints with so many chunks each, no two of which are equal."""
    fs = _Unsynced(str(path))
    assert initialize(fs, Settings())
    repo, rng = Repository(fs), np.random.default_rng(0)
    with repo.writer() as writer:
        entries: list[Entry] = []
        segments: list[ObjectRef] = []
        waiting: list[tuple[list[ObjectRef], Columns]] = []
        for step in range(checkpoints):
            packs, rows = _packs(fs, writer, chunks), _rows(rng, chunks)
            entries.append(_checkpoint(writer, step, packs, rows))
            waiting.append((packs, rows))
            if len(waiting) * chunks >= SEGMENT_ROWS or step == checkpoints - 1:
                segments.append(_segment(writer, waiting))
                waiting = []
        paged = [entries[i : i + 256] for i in range(0, len(entries) - 16, 256)]
        pages = [CatalogRef(writer.put(CATALOG, CatalogPage(page)), len(page)) for page in paged]
        inline = entries[sum(map(len, paged)) :]

        def extend(base: Root) -> Root:
            return replace(base, catalog=pages, inline=inline, segments=segments)

        writer.commit(extend, {})
    repo.close()


def _packs(fs: LocalFs, writer: Writer, chunks: int) -> list[ObjectRef]:
    each = -(-chunks // PACKS_EACH)
    held = [max(0, min(each, chunks - i * each)) for i in range(PACKS_EACH)]
    packs = [ObjectRef(writer.new_name(), bytes(32), 56 + n * FRAME_BYTES) for n in held]
    for pack in packs:
        with Path(fs.locate(object_path(PACK, pack.name))).open("wb") as file:
            file.truncate(pack.n_bytes)
    return packs


def _rows(rng: np.random.Generator, n: int) -> Columns:
    ids = np.frombuffer(rng.bytes(32 * n), np.uint8).reshape(-1, 32)
    each = -(-n // PACKS_EACH)
    offsets = 56 + np.arange(n, dtype=np.uint64) % np.uint64(each) * np.uint64(FRAME_BYTES)
    pack_of = (np.arange(n) // each).astype(np.uint32)
    return Columns(ids, pack_of, offsets, np.full(n, FRAME_BYTES, np.uint32), np.full(n, 1 << 20, np.uint32))


def _checkpoint(writer: Writer, step: int, packs: list[ObjectRef], rows: Columns) -> Entry:
    n = len(rows.ids)
    tensor = TensorRow(("w",), "numpy.ndarray", "float32", [n << 18], {}, None, [Shard([0], [n << 18], n)])
    what_page = ManifestPage([tensor], rows.ids.tobytes(), rows.ids[:, :16].tobytes())

    def manifest_head(refs: list[PageRef]) -> Manifest:
        return Manifest("main", step, step, writer.write_id, n << 20, 1, refs, EMPTY)

    what, _ = writer.put_paged(MANIFEST, [what_page], [1], {}, manifest_head)
    pages = list(_closure_pages(packs, rows))
    used = np.bincount(rows.pack_of, minlength=len(packs)) * FRAME_BYTES
    uses = [PackUse(pack.name, int(n_bytes)) for pack, n_bytes in zip(packs, used, strict=True)]

    def closure_head(refs: list[PageRef]) -> Closure:
        return Closure(n, uses, [], refs, EMPTY)

    where, _ = writer.put_paged(CLOSURE, pages, [len(page.chunk_ids) // 32 for page in pages], {}, closure_head)
    return Entry(
        what.digest, "main", step, step, n << 20, int(used.sum()), what, where, b"", {"loss": 1.0}, [],
        envelope.encode_map({}), writer.write_id, 1, EMPTY,
    )  # fmt: skip


def _closure_pages(packs: list[ObjectRef], rows: Columns) -> Iterator[ClosurePage]:
    for start in range(0, len(rows.ids), CLOSURE_ROWS):
        part = rows.take(slice(start, start + CLOSURE_ROWS))
        yield ClosurePage(
            packs, part.ids.tobytes(), part.pack_of.astype("<u2").tobytes(), part.offsets.tobytes(),
            part.frame_bytes.tobytes(), part.logical_bytes.tobytes(), bytes(len(part.ids)), b"",
        )  # fmt: skip


def _segment(writer: Writer, parts: list[tuple[list[ObjectRef], Columns]]) -> ObjectRef:
    packs = [pack for mine, _ in parts for pack in mine]
    moved = [rows._replace(pack_of=rows.pack_of + np.uint32(PACKS_EACH * i)) for i, (_, rows) in enumerate(parts)]
    rows = segment.ordered(segment.joined(moved))
    made = writer.put_pages(packs, segment.pages(rows), len(rows.ids), level=3)
    assert made is not None
    return made


def measure(path: Path, checkpoints: int, chunks: int) -> Cost:
    """In a child: seconds and memory of a gc with nothing to do, of deleting one checkpoint, and of a save."""
    held = memory.resident_bytes()
    with memory.Peak() as peak:
        gc_s, freed = _collect(path, delete=False)
        assert freed == 0, freed
    delete_gc_s, freed = _collect(path, delete=True)
    assert freed > 0
    save_s = statistics.median(_save_seconds(path, turn) for turn in range(5))
    beyond = peak.beyond(held)
    return Cost(checkpoints, checkpoints * chunks, checkpoints * PACKS_EACH, gc_s, beyond, delete_gc_s, freed, save_s)


def _collect(path: Path, delete: bool) -> tuple[float, int]:
    began = time.perf_counter()
    with ckstore.open(path) as store:
        if delete:
            store.delete("main@0")
        freed = store.gc(grace_s=0).freed_bytes
    return time.perf_counter() - began, freed


def _save_seconds(path: Path, turn: int) -> float:
    """Of 64 MiB that nobody has saved before, in a newly opened store."""
    state = {"x": np.random.default_rng(turn).normal(size=(16, 1 << 20)).astype(np.float32)}
    with ckstore.open(path) as store:
        store.save({"warm": np.ones(4096, np.float32)}, run=f"warm-{turn}")
        began = time.perf_counter()
        store.save(state, run=f"new-{turn}")
        return time.perf_counter() - began


def table(costs: list[Cost]) -> Table:
    """One row a store."""
    found = Table(
        "checkpoints", "chunks", "packs", "gc, nothing to do", "peak MiB", "delete one + gc", "save 64 MiB",
        title="synthetic stores; gc may take 20 s and 500 MiB on the largest",
    )  # fmt: skip
    for cost in costs:
        peak = "-" if cost.gc_peak_bytes is None else f"{cost.gc_peak_bytes / 2**20:.0f}"
        found.add_row(
            f"{cost.checkpoints:,}", f"{cost.chunks:,}", f"{cost.packs:,}", f"{cost.gc_s:.2f} s", peak,
            f"{cost.delete_gc_s:.2f} s", f"{cost.save_s:.3f} s",
        )  # fmt: skip
    return found


def to_dict(costs: list[Cost]) -> dict[str, object]:
    """The body of the JSON file."""
    return {"limits": {"seconds": LIMIT_S, "bytes": LIMIT_BYTES}, "rows": [asdict(cost) for cost in costs]}
