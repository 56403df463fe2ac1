"""restore(): root → manifest and closure → packs → frames → chunks → a state's tensors. save.py is its mirror."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from blake3 import blake3

from ckstore.engine import catalog
from ckstore.engine.decode import Decoder, needed_rows, row_name
from ckstore.engine.parent import load_closure, load_manifest
from ckstore.engine.session import Session
from ckstore.errors import CheckpointDeleted, CheckpointNotFound, CorruptError, IntegrityError, MissingObjectError
from ckstore.format.closure import Row
from ckstore.format.manifest import ChunkColumns, Table, chunk_bytes, tensor_bytes
from ckstore.format.records import Entry, TensorRow
from ckstore.tensor import Destination, Path, dotted

BATCH_BYTES = 8 << 20
ALL_BATCHES_BYTES = 64 << 20
"""Stored and logical bytes of the chunks that a worker takes at once: at most so many, and all workers together so
many. A chunk whose chain alone takes more is a batch of its own."""

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


class Batch(NamedTuple):
    """Chunks for one worker, and what they hold: all stored bytes where they fit, else a frame at a time."""

    targets: list[Target]
    held_bytes: int
    largest_bytes: int

    @property
    def cost(self) -> int:
        """Memory that work on it holds: frames, the chunk itself, those of a chain that are needed at a time (two,
        some six where weights are predicted from moments), and the codec's buffers."""
        return min(self.held_bytes, BATCH_BYTES) + 8 * self.largest_bytes


def reading(session: Session, entry: Entry, work: Callable[[Entry], _T]) -> _T:
    """`work(entry)`, again with the entry's new closure if a gc moved what it needed meanwhile.

    Raises CheckpointDeleted if the checkpoint is gone, MissingObjectError if the store lacks what it names. Whatever is
    raised, its `overwritten` lists all tensors that any attempt had touched by then.
    """
    touched: set[str] = set()
    while True:
        try:
            return work(entry)
        except BaseException as error:
            touched.update(getattr(error, "overwritten", ()))
            note_overwritten(error, touched)
            if not isinstance(error, MissingObjectError):
                raise
            fresh = again(session, entry, sorted(touched))
            if (fresh.manifest, fresh.closure) == (entry.manifest, entry.closure):
                raise  # the newest root names what is not there
            entry = fresh


def note_overwritten(error: BaseException, touched: Iterable[str]) -> None:
    """Give any exception the attribute that Store.load documents, an interrupt too: the caller's tensors changed."""
    vars(error)["overwritten"] = sorted(touched)


def again(session: Session, entry: Entry, overwritten: list[str]) -> Entry:
    """`entry` as the newest root has it; raises CheckpointDeleted."""
    repo = session.repo
    try:
        return repo.at_newest(lambda root: catalog.by_id(repo, root, entry.id))
    except CheckpointNotFound as gone:
        message = f"{entry.run}@{entry.step} was deleted while it was being read"
        raise CheckpointDeleted(message, overwritten=overwritten) from gone


def load(session: Session, entry: Entry) -> Table:
    """Read the manifest of a checkpoint."""
    return load_manifest(session.repo, entry, session.repo.root().chunk_elements)[0]


def restore(session: Session, entry: Entry, table: Table, wanted: Wanted, verify: bool = True) -> None:
    """Fill the destinations of some tensors of a checkpoint. Raises CorruptError naming pack and tensor; whatever is
    raised, its `overwritten` lists the tensors that had been touched by then.

    verify: compare every chunk with its BLAKE3 id; without, only the checks of the stored bytes are made.
    """
    paths = {path for path, _ in wanted}
    chunked = any(columns.n_chunks for row, columns in table if row.path in paths)
    rows = load_closure(session.repo, entry)[0] if chunked else []  # small tensors load although it is damaged
    begun: set[str] = set()

    limit = min(BATCH_BYTES, ALL_BATCHES_BYTES // session.n_threads)

    def fill(batch: Batch) -> None:
        decoder = Decoder(session.repo, rows)
        if batch.held_bytes <= limit:
            decoder.prefetch([target.row for target in batch.targets])
        bases = {base for target in batch.targets for base in rows[target.row].bases}
        for target in batch.targets:
            begun.add(dotted(target.tensor.path))
            _fill(decoder, rows[target.row], target, verify, keep=target.row in bases)

    try:
        targets = _targets(entry, table, rows, wanted, begun, session.repo.root().chunk_elements)
        for _ in session.map(fill, _batches(targets, rows, limit), lambda batch: batch.cost):
            pass
    except BaseException as error:
        note_overwritten(error, begun)
        raise
    finally:
        session.repo.packs.close_idle()


def _targets(
    entry: Entry, table: Table, rows: Sequence[Row], wanted: Wanted, begun: set[str], chunk_elements: int
) -> list[Target]:
    """Every chunk of the wanted tensors in the order in which they were stored; inline tensors are filled at once."""
    number = {row.chunk_id: i for i, row in enumerate(rows)}
    tensors = {row.path: (row, columns) for row, columns in table if isinstance(row, TensorRow)}
    targets: list[Target] = []
    for path, destination in wanted:
        row, columns = tensors[path]
        if row.inline is not None:
            begun.add(dotted(path))
            _put(destination, 0, memoryview(row.inline))
        targets.extend(_tensor_targets(row, columns, destination, number, chunk_elements, entry))
    return sorted(targets, key=lambda target: target.row)


def _tensor_targets(
    row: TensorRow, columns: ChunkColumns, destination: Destination, number: dict[bytes, int],
    chunk_elements: int, entry: Entry,
) -> Iterator[Target]:  # fmt: skip
    size, n_bytes = chunk_bytes(row.dtype, chunk_elements), tensor_bytes(row)
    for i in range(columns.n_chunks):
        where = number.get(columns.chunk_id(i))
        if where is None:
            name = dotted(row.path)
            raise CorruptError(f"closure {entry.closure.name} lacks chunk {i} of tensor {name}", object=name)
        yield Target(where, row, destination, i * size, min(n_bytes, (i + 1) * size))


def _batches(targets: Sequence[Target], rows: Sequence[Row], limit: int) -> Iterator[Batch]:
    batch: list[Target] = []
    needed, held, largest = set[int](), 0, 0
    for target in targets:
        if not batch or batch[-1].row != target.row:
            more = needed_rows(rows, [target.row], needed)
            cost = _held_bytes(rows, target, more)
            if batch and held + cost > limit:
                yield Batch(batch, held, largest)
                batch, held, largest = [], 0, 0
                needed = more = needed_rows(rows, [target.row])
                cost = _held_bytes(rows, target, more)
            needed |= more
            held, largest = held + cost, max([largest, *(rows[i].logical_bytes for i in more)])
        batch.append(target)
    if batch:
        yield Batch(batch, held, largest)


def _held_bytes(rows: Sequence[Row], target: Target, more: Iterable[int]) -> int:
    """What another target adds to a batch: frames that nothing else of it needs, and the chunk itself."""
    return sum(rows[i].frame_bytes for i in more) + rows[target.row].logical_bytes


def _fill(decoder: Decoder, row: Row, target: Target, verify: bool, keep: bool) -> None:
    what = f"{row_name(row)} (tensor {dotted(target.tensor.path)}, bytes {target.start}-{target.stop})"
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
