"""Manifest rows ⇄ pages: what a checkpoint holds, in tree order, with the chunk ids of its tensors as columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import msgspec

from ckstore.errors import FormatError
from ckstore.format.records import ManifestPage, NodeRow, TensorRow, ValueRow
from ckstore.tensor import dotted, item_bytes

ROWS_PER_PAGE = 256
CHUNKS_PER_PAGE = 4096
MAX_ROWS = 1 << 24
MAX_CHUNKS = 1 << 26
MAX_DIMENSIONS = 64
MAX_PATH_KEYS = 200
"""Deepest path of a state. A state that contains itself would be deeper than any limit."""
MAX_KEY_DEPTH = 8
"""Deepest nesting of a tuple that is a key."""
KEY_TYPES = frozenset((str, int, bool, type(None), float, bytes))
"""What a key may be, tuples apart."""
SEQUENCES = frozenset(("list", "tuple", "namedtuple"))
"""Kinds of containers whose keys are positions."""

ManifestRow = NodeRow | ValueRow | TensorRow


@dataclass(frozen=True, slots=True)
class ChunkColumns:
    """The chunk ids of one tensor, and the seeded hashes by which a saver sees that nothing changed."""

    chunk_ids: bytes = b""
    quick_hashes: bytes = b""

    @property
    def n_chunks(self) -> int:
        """Number of chunks."""
        return len(self.chunk_ids) // 32

    def chunk_id(self, i: int) -> bytes:
        """Id of chunk i."""
        return self.chunk_ids[32 * i : 32 * i + 32]

    def quick_hash(self, i: int) -> bytes:
        """Seeded XXH3-128 of chunk i."""
        return self.quick_hashes[16 * i : 16 * i + 16]


Table = list[tuple[ManifestRow, ChunkColumns]]
"""A manifest in memory: every row, with the columns of those that are tensors."""


def is_composite(row: object) -> bool:
    """Whether a row is a leaf made of several tensors: its parts are the rows below it."""
    return isinstance(row, NodeRow) and row.kind.startswith(("numpy.", "torch."))


def to_pages(table: Sequence[tuple[ManifestRow, ChunkColumns]]) -> list[ManifestPage]:
    """Pages cut by counts only, so that an unchanged stretch of a state gives the same pages in the next checkpoint."""
    pages: list[ManifestPage] = []
    start = n_chunks = 0
    for i, (_, columns) in enumerate(table):
        n_chunks += columns.n_chunks
        if i + 1 - start >= ROWS_PER_PAGE or n_chunks >= CHUNKS_PER_PAGE or i + 1 == len(table):
            pages.append(_to_page(table[start : i + 1]))
            start, n_chunks = i + 1, 0
    return pages


def _to_page(table: Sequence[tuple[ManifestRow, ChunkColumns]]) -> ManifestPage:
    return ManifestPage(
        rows=[row for row, _ in table],
        chunk_ids=b"".join(columns.chunk_ids for _, columns in table),
        quick_hashes=b"".join(columns.quick_hashes for _, columns in table),
    )


def from_pages(pages: Iterable[ManifestPage], what: str, chunk_elements: int) -> Table:
    """All rows with their columns, validated. Raises FormatError."""
    table: Table = []
    n_chunks = 0
    for page in pages:
        at = 0
        for row in page.rows:
            row = _thawed(row, f"{what}: row {len(table)}", what)
            n = sum(shard.n_chunks for shard in row.shards) if isinstance(row, TensorRow) else 0
            columns = ChunkColumns(page.chunk_ids[32 * at : 32 * (at + n)], page.quick_hashes[16 * at : 16 * (at + n)])
            if isinstance(row, TensorRow):
                _check_tensor(row, columns, what, chunk_elements)
            table.append((row, columns))
            at += n
        n_chunks += at
        if len(page.chunk_ids) != 32 * at or len(page.quick_hashes) != 16 * at:
            raise FormatError(f"{what}: chunk columns do not fit the rows", object=what)
        if len(table) > MAX_ROWS or n_chunks > MAX_CHUNKS:
            raise FormatError(f"{what}: more than {MAX_ROWS} rows or {MAX_CHUNKS} chunks", object=what)
    return table


def _thawed(row: ManifestRow, name: str, what: str) -> ManifestRow:
    """`row` with its path as it was saved. MessagePack has no tuples: an array inside a path was one."""
    if len(row.path) > MAX_PATH_KEYS:
        raise FormatError(f"{name}: its path has more than {MAX_PATH_KEYS} keys", object=what)
    if all(type(key) in KEY_TYPES for key in row.path):
        return row
    try:
        return msgspec.structs.replace(row, path=tuple(_key(key, 0) for key in row.path))
    except TypeError as error:
        reason = "a key of its path is of an unknown type or nested too deeply"
        raise FormatError(f"{name}: {reason}", object=what) from error


def _key(key: Any, depth: int) -> Any:
    if type(key) in KEY_TYPES:
        return key
    if type(key) not in (list, tuple) or depth >= MAX_KEY_DEPTH:
        raise TypeError("no key")
    return tuple(_key(part, depth + 1) for part in key)


def check(table: Iterable[tuple[ManifestRow, ChunkColumns]], what: str, chunk_elements: int) -> None:
    """Raise FormatError for a tensor that no reader would take: a manifest is not to be written with it."""
    for row, columns in table:
        if isinstance(row, TensorRow):
            _check_tensor(row, columns, what, chunk_elements)


def _check_tensor(row: TensorRow, columns: ChunkColumns, what: str, chunk_elements: int) -> None:
    name = dotted(row.path)
    try:
        n_bytes = tensor_bytes(row)
        step = chunk_bytes(row.dtype, chunk_elements)
    except (KeyError, ValueError) as error:
        raise FormatError(f"{what}: tensor {name}: bad dtype or shape", object=what) from error
    if row.inline is not None:
        fits = len(row.inline) == n_bytes and not row.shards
    else:
        fits = columns.n_chunks == -(-n_bytes // step) and _is_whole(row)
    if not fits or len(columns.quick_hashes) != 16 * columns.n_chunks:
        raise FormatError(f"{what}: tensor {name}: its chunks do not add up to its size", object=what)


def _is_whole(row: TensorRow) -> bool:
    """Whether one shard covers the tensor: all that version 1 writes and reads."""
    return [(shard.offsets, shard.lengths) for shard in row.shards] == [([0] * len(row.shape), row.shape)]


def tensor_bytes(row: TensorRow) -> int:
    """Logical bytes of a tensor row; raises ValueError for a shape that is none."""
    if len(row.shape) > MAX_DIMENSIONS or any(length < 0 for length in row.shape):
        raise ValueError("bad shape")
    # an empty tensor too must have lengths that multiply to something: no framework takes others
    if prod(length or 1 for length in row.shape) * item_bytes(row.dtype) >= 1 << 62:
        raise ValueError("tensor too large")
    return prod(row.shape) * item_bytes(row.dtype)


OPAQUE_CHUNK_BYTES = 1 << 20


def chunk_bytes(dtype: str, chunk_elements: int) -> int:
    """Logical bytes of a whole chunk: `chunk_elements` elements, or 1 MiB of opaque bytes (whole items)."""
    size = item_bytes(dtype)
    if dtype.startswith("bytes:"):
        return max(1, OPAQUE_CHUNK_BYTES // size) * size
    return chunk_elements * size
