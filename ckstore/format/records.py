"""The MessagePack records inside metadata objects: roots, catalog pages, manifests, closures, segments.

Records are arrays in fixed field order (FORMAT.md gives the tables); new fields may only be added at the end, with a
default. Columns are flat little-endian arrays in `bytes`. Names of objects are `<epoch>-<16 hex>-<seq>`. What a reader
need not understand stays encoded (Raw): as Python objects, free MessagePack can take 64 times its bytes.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from ckstore.format import limits
from ckstore.format.limits import Digest, DigestOrNone, Name, NameOrNone, Size, WriteId

EMPTY = Raw(b"\x80")
"""An encoded map without keys."""


class Record(msgspec.Struct, frozen=True, array_like=True, omit_defaults=False):
    """Base of all records: an array in field order."""


class ObjectRef(Record, frozen=True):
    """Names one object and the BLAKE3-256 of its header and head."""

    name: Name
    digest: Digest
    n_bytes: Size
    """Size of the whole file."""


class PageRef(Record, frozen=True):
    """One page of a manifest or closure; it may lie in an earlier object of the same kind."""

    holder: NameOrNone
    """Name of the object that holds the page; "" = this object."""
    offset: Size
    stored_bytes: Size
    raw_bytes: Size
    digest: Digest
    """BLAKE3-256 of the stored bytes."""
    n_rows: Size


class Entry(Record, frozen=True):
    """One checkpoint in the catalog: all that `ls` and references need."""

    id: Digest
    """BLAKE3-256 of the first manifest's header and head; never changes."""
    run: str
    step: int
    time_ns: int
    logical_bytes: Size
    stored_bytes: Size
    manifest: ObjectRef
    closure: ObjectRef
    parent: DigestOrNone
    """Id of the checkpoint the deltas were taken against; b"" = none."""
    metrics: limits.Metrics
    tags: limits.Tags
    meta: Raw
    """The user's own map, encoded: envelope.decode_map() reads it."""
    write_id: WriteId
    n_tensors: Size
    extra: Raw

    def __post_init__(self) -> None:
        limits.check_notes(self.meta, self.extra)


class CatalogRef(Record, frozen=True):
    """One catalog page, oldest first."""

    page: ObjectRef
    n_entries: Size


class Condemned(Record, frozen=True):
    """An object that gc wants gone, and the root number that condemned it."""

    kind: limits.Kind
    name: Name
    number: Size


class Root(Record, frozen=True):
    """The head of a root object: the whole truth of the store at one commit."""

    number: limits.RootNumber
    previous: DigestOrNone
    """Digest of the root this one extends; b"" for root 1."""
    write_id: WriteId
    major: int
    chunk_elements: limits.ChunkElements
    incompatible: list[str]
    readonly_compatible: list[str]
    compatible: list[str]
    hash_seed: limits.HashSeed
    floor: Size
    """Oldest writer epoch that may still commit."""
    trimmed_to: Size
    """Roots up to this number may have been removed."""
    chain_cost_milli: Size
    chain_frames: Size
    catalog: list[CatalogRef]
    inline: list[Entry]
    segments: list[ObjectRef]
    condemned: list[Condemned]
    deleting: list[Condemned]
    extra: Raw
    """Unknown compatible keys: carried through verbatim."""


class CatalogPage(Record, frozen=True):
    """Up to 256 entries, oldest first."""

    entries: Annotated[list[Entry], Meta(max_length=limits.PAGE_ENTRIES)]


class NodeRow(Record, frozen=True, tag="node"):
    """A container or a composite leaf: `kind` and `attrs` say how to build it from the rows below its path."""

    path: tuple[Any, ...]
    kind: str
    attrs: dict[str, Any]


class ValueRow(Record, frozen=True, tag="value"):
    """A plain value, in the encoding of `adapters.plain`."""

    path: tuple[Any, ...]
    data: bytes


class TensorRow(Record, frozen=True, tag="tensor"):
    """A tensor: inline bytes, or `n_chunks` ids from the page's columns, in order."""

    path: tuple[Any, ...]
    kind: str
    dtype: str
    shape: list[Size]
    attrs: dict[str, Any]
    inline: bytes | None
    shards: list[Shard]


class Shard(Record, frozen=True):
    """A box of the global tensor that was saved by one writer; a plain tensor has one that covers it."""

    offsets: list[Size]
    lengths: list[Size]
    n_chunks: Size


class ManifestPage(Record, frozen=True):
    """Rows in tree order, and the chunk columns of their tensors."""

    rows: list[NodeRow | ValueRow | TensorRow]
    chunk_ids: bytes
    """32 bytes a chunk: BLAKE3-256 of the logical bytes."""
    quick_hashes: bytes
    """16 bytes a chunk: seeded XXH3-128 of the logical bytes, in its canonical (big-endian) form."""


class Manifest(Record, frozen=True):
    """The head of a manifest: what a checkpoint holds."""

    run: str
    step: int
    time_ns: int
    write_id: WriteId
    logical_bytes: Size
    n_rows: Size
    pages: list[PageRef]
    extra: Raw

    def __post_init__(self) -> None:
        limits.check_pages(self.pages)


class ClosurePage(Record, frozen=True):
    """Rows {chunk id, pack, offset, stored_len, base rows} as columns."""

    packs: list[ObjectRef]
    chunk_ids: bytes
    """32 bytes a row."""
    pack_of: bytes
    """u16 a row: position in `packs`."""
    offsets: bytes
    """u64 a row: where the frame begins in its pack."""
    frame_bytes: bytes
    """u32 a row: bytes of the whole frame, header included."""
    logical_bytes: bytes
    """u32 a row."""
    n_bases: bytes
    """u8 a row."""
    bases: bytes
    """u32 a base: row number in the whole closure; always less than the row that uses it."""


class PackUse(Record, frozen=True):
    """A pack that a closure needs and how many of its bytes."""

    name: Name
    used_bytes: Size


class Closure(Record, frozen=True):
    """The head of a closure: where the bytes of a checkpoint lie. gc reads this and no rows."""

    n_rows: Size
    packs: list[PackUse]
    holders: list[tuple[int, Name]]
    """[kind, name] of every other manifest or closure that holds a page of this checkpoint."""
    pages: list[PageRef]
    extra: Raw

    def __post_init__(self) -> None:
        limits.check_pages(self.pages)
