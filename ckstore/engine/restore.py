"""restore(): root → manifest and closure → packs → frames → chunks → a state's tensors. save.py is its mirror."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from blake3 import blake3

from ckstore.engine import batching, catalog
from ckstore.engine.batching import Batch, Group, Target
from ckstore.engine.decode import Decoder, row_name
from ckstore.engine.parent import load_closure, load_manifest
from ckstore.engine.session import Session
from ckstore.errors import CheckpointDeleted, CheckpointNotFound, CorruptError, IntegrityError, MissingObjectError
from ckstore.format.closure import Row
from ckstore.format.manifest import ChunkColumns, Table, chunk_bytes, tensor_bytes
from ckstore.format.records import Entry, TensorRow
from ckstore.tensor import Destination, Path, dotted

Wanted = Sequence[tuple[Path, Destination]]
"""Tensors to fill, by path."""

_T = TypeVar("_T")


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
    """Fill the destinations of some tensors of a checkpoint. Raises CorruptError naming the pack, and the tensor where
    only its bytes are wrong; whatever is raised, its `overwritten` lists the tensors that may be touched by then.

    verify: compare every chunk with its BLAKE3 id; without, only the checks of the stored bytes are made.
    """
    paths = {path for path, _ in wanted}
    chunked = any(columns.n_chunks for row, columns in table if row.path in paths)
    rows = load_closure(session.repo, entry)[0] if chunked else []  # small tensors load although it is damaged
    begun: set[str] = set()

    limit = batching.limit(session.n_threads)

    def fill(batch: Batch) -> None:
        decoder = Decoder(session.repo, rows)
        if batch.held_bytes <= limit:
            decoder.prefetch([target.row for group in batch.groups for target in group])
        for group in batch.groups:
            begun.update(dotted(target.tensor.path) for target in group)
            _fill(decoder, rows, group, verify)

    try:
        targets = _targets(entry, table, rows, wanted, begun, session.repo.root().chunk_elements)
        for _ in session.map(fill, batching.batches(targets, rows, limit), lambda batch: batch.cost):
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


def _fill(decoder: Decoder, rows: Sequence[Row], targets: Group, verify: bool) -> None:
    """Decode targets together, and put what they hold where it goes."""
    decoded: dict[int, memoryview] = {}
    windows = [_window(rows[target.row], target) for target in targets]
    for target, window in zip(targets, windows, strict=True):
        if target.row not in decoded:
            decoded[target.row] = memoryview(bytearray(rows[target.row].logical_bytes)) if window is None else window
    decoder.fill(decoded)
    checked = set[int]()
    for target, window in zip(targets, windows, strict=True):
        row, data = rows[target.row], decoded[target.row]
        if verify and target.row not in checked and blake3(data).digest() != row.chunk_id:
            what = _name(row, target)
            raise IntegrityError(f"{what}: decoded bytes do not match their BLAKE3 id", object=what)
        checked.add(target.row)
        if window is None:
            target.destination.write(target.start, data)
        elif window is not data:
            window[:] = data


def _window(row: Row, target: Target) -> memoryview | None:
    """The memory that a target goes to; None if that is not contiguous."""
    if row.logical_bytes != target.stop - target.start:
        what = _name(row, target)
        raise IntegrityError(f"{what}: holds {row.logical_bytes} bytes", object=what)
    return target.destination.window(target.start, target.stop)


def _name(row: Row, target: Target) -> str:
    """How errors name a target."""
    return f"{row_name(row)} (tensor {dotted(target.tensor.path)}, bytes {target.start}-{target.stop})"


def _put(destination: Destination, start: int, data: memoryview) -> None:
    window = destination.window(start, start + len(data))
    if window is None:
        destination.write(start, data)
    else:
        window[:] = data
