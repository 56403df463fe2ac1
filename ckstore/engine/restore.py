"""restore(): root → manifest and closure → packs → frames → chunks → a state's tensors. save.py is its mirror."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from blake3 import blake3

from ckstore.engine import catalog
from ckstore.engine.decode import Decoder, row_name
from ckstore.engine.parent import hashable, load_closure, load_manifest
from ckstore.engine.session import Session
from ckstore.errors import CheckpointDeleted, CheckpointNotFound, CorruptError, IntegrityError, MissingObjectError
from ckstore.format.closure import Row
from ckstore.format.manifest import ChunkColumns, ManifestRow, Table, chunk_bytes, tensor_bytes
from ckstore.format.records import Entry, TensorRow
from ckstore.tensor import Destination, Path, dotted

BATCH_BYTES = 8 << 20
"""Stored and logical bytes that one worker holds at a time."""

Wanted = Sequence[tuple[Path, Destination]]
"""Tensors to fill, by path."""

_T = TypeVar("_T")


class Target(NamedTuple):
    """A chunk to be decoded, and where its bytes go."""

    row: int
    tensor: TensorRow
    destination: Destination
    start: int
    stop: int


@dataclass(frozen=True)
class Loaded:
    """A checkpoint's manifest, read."""

    entry: Entry
    table: Table

    @property
    def rows(self) -> list[ManifestRow]:
        """Its rows in tree order."""
        return [row for row, _ in self.table]


def reading(session: Session, entry: Entry, work: Callable[[Entry], _T]) -> _T:
    """`work(entry)`, again with the entry's new closure if a gc moved what it needed meanwhile.

    Raises CheckpointDeleted if the checkpoint is gone, MissingObjectError if the store lacks what it names.
    """
    number = session.repo.root().number
    while True:
        try:
            return work(entry)
        except MissingObjectError:
            root = session.repo.root()
            try:
                entry = catalog.by_id(session.repo, root, entry.id)
            except CheckpointNotFound as gone:
                name = f"{entry.run}@{entry.step}"
                raise CheckpointDeleted(f"{name} was deleted while it was being read") from gone
            if root.number == number:
                raise
            number = root.number


def load(session: Session, entry: Entry) -> Loaded:
    """Read the manifest of a checkpoint."""
    table, _ = load_manifest(session.repo, entry, session.repo.root().chunk_elements)
    return Loaded(entry, table)


def restore(session: Session, entry: Entry, loaded: Loaded, wanted: Wanted, verify: bool = True) -> None:
    """Fill the destinations of some tensors of a checkpoint. Raises CorruptError naming pack and tensor;
    its `overwritten` lists the tensors that had been touched by then.

    verify: compare every chunk with its BLAKE3 id; without, only the checks of the stored bytes are made.
    """
    rows, _ = load_closure(session.repo, entry)
    begun: set[str] = set()

    def fill(batch: list[Target]) -> None:
        decoder = Decoder(session.repo, rows)
        decoder.prefetch([target.row for target in batch])
        bases = {base for target in batch for base in rows[target.row].bases}
        for target in batch:
            begun.add(dotted(tuple(target.tensor.path)))
            _fill(decoder, rows[target.row], target, verify, keep=target.row in bases)

    targets = _targets(loaded, rows, wanted, begun, session.repo.root().chunk_elements)
    try:
        for _ in session.map(fill, _batches(targets, rows), lambda _: 2 * BATCH_BYTES):
            pass
    except CorruptError as error:
        error.overwritten = sorted(begun)  # type: ignore[attr-defined]  # documented in Store.load
        raise
    finally:
        session.repo.packs.close_idle()


def _targets(loaded: Loaded, rows: Sequence[Row], wanted: Wanted, begun: set[str], chunk_elements: int) -> list[Target]:
    """Every chunk of the wanted tensors in the order in which they were stored; inline tensors are filled at once."""
    number = {row.chunk_id: i for i, row in enumerate(rows)}
    tensors = {hashable(row.path): (row, columns) for row, columns in loaded.table if isinstance(row, TensorRow)}
    targets: list[Target] = []
    for path, destination in wanted:
        row, columns = tensors[hashable(path)]
        if row.inline is not None:
            _put(destination, 0, memoryview(row.inline))
            begun.add(dotted(path))
        targets.extend(_tensor_targets(row, columns, destination, number, chunk_elements, loaded.entry))
    return sorted(targets, key=lambda target: target.row)


def _tensor_targets(
    row: TensorRow, columns: ChunkColumns, destination: Destination, number: dict[bytes, int],
    chunk_elements: int, entry: Entry,
) -> Iterator[Target]:  # fmt: skip
    size, n_bytes = chunk_bytes(row.dtype, chunk_elements), tensor_bytes(row)
    for i in range(columns.n_chunks):
        where = number.get(columns.chunk_id(i))
        if where is None:
            name = dotted(tuple(row.path))
            raise CorruptError(f"closure {entry.closure.name} lacks chunk {i} of tensor {name}", object=name)
        yield Target(where, row, destination, i * size, min(n_bytes, (i + 1) * size))


def _batches(targets: Sequence[Target], rows: Sequence[Row]) -> Iterator[list[Target]]:
    batch: list[Target] = []
    held = 0
    for target in targets:
        same = batch and batch[-1].row == target.row
        cost = 0 if same else rows[target.row].logical_bytes + _chain_bytes(rows, target.row)
        if batch and not same and held + cost > BATCH_BYTES:
            yield batch
            batch, held = [], 0
        batch.append(target)
        held += cost
    if batch:
        yield batch


def _chain_bytes(rows: Sequence[Row], i: int) -> int:
    return rows[i].frame_bytes + sum(_chain_bytes(rows, base) for base in rows[i].bases)


def _fill(decoder: Decoder, row: Row, target: Target, verify: bool, keep: bool) -> None:
    what = f"{row_name(row)} (tensor {dotted(tuple(target.tensor.path))}, bytes {target.start}-{target.stop})"
    if row.logical_bytes != target.stop - target.start:
        raise IntegrityError(f"{what}: holds {row.logical_bytes} bytes", object=what)
    window = target.destination.window(target.start, target.stop)
    out = memoryview(bytearray(row.logical_bytes)) if window is None else window
    decoder.into(target.row, out)
    if verify and blake3(out).digest() != row.chunk_id:
        raise IntegrityError(f"{what}: decoded bytes do not match their BLAKE3 id", object=what)
    if window is None:
        target.destination.write(target.start, out)
    if keep:
        decoder.keep(target.row, out)


def _put(destination: Destination, start: int, data: memoryview) -> None:
    window = destination.window(start, start + len(data))
    if window is None:
        destination.write(start, data)
    else:
        window[:] = data
