"""A pack: the 56-byte envelope header, frames one after another, then the table of its frames and a footer.

    OFFSET     SIZE  FIELD
    0          56    envelope header of kind 6; its head sizes are 0, since the table comes last
    56         ...   frames (frame.py), no gaps
    T          L     table: a MessagePack PackTable
    T+L        8     L
    T+L+8      32    BLAKE3-256 over the header, the table and L: the digest by which closures refer to the pack
    T+L+40     8     end magic, 93 43 4b 45 4e 44 0d 0a ("\\x93CKEND\\r\\n")

Each frame carries its own checks and the table carries one over every whole frame, so the digest covers all bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import xxhash
from blake3 import blake3

from ckstore.errors import FormatError, IntegrityError
from ckstore.format import columns, envelope
from ckstore.format.frame import MAX_CHUNK_BYTES, MAX_FRAME_BYTES, Frame, pack_front
from ckstore.format.names import PACK
from ckstore.format.records import Record

END_MAGIC = b"\x93CKEND\r\n"
FOOTER_BYTES = 48


class PackTable(Record, frozen=True):
    """The table at the end of a pack: its frames in order."""

    chunk_ids: bytes
    offsets: bytes
    frame_bytes: bytes
    logical_bytes: bytes
    checks: bytes
    """u64 a frame: XXH3-64 of the whole frame."""


class TableRow(NamedTuple):
    """One frame of a pack."""

    chunk_id: bytes
    offset: int
    frame_bytes: int
    logical_bytes: int
    check: int


def frame_check(*parts: bytes | memoryview) -> int:
    """XXH3-64 over a whole frame, given in parts."""
    state = xxhash.xxh3_64()
    for part in parts:
        state.update(part)
    return state.intdigest()


class Packed(NamedTuple):
    """A frame as it will lie in a pack, with the check that the table gives over all of it."""

    frame: Frame
    front: bytes
    check: int


def packed(item: Frame) -> Packed:
    """`item`, ready to be written."""
    front = pack_front(item)
    return Packed(item, front, frame_check(front, item.payload))


def pack_tail(uuid: bytes, rows: Iterable[TableRow]) -> tuple[bytes, bytes]:
    """(table and footer, digest of the pack)."""
    rows = list(rows)
    table = msgspec.msgpack.encode(
        PackTable(
            chunk_ids=b"".join(row.chunk_id for row in rows),
            offsets=columns.pack((row.offset for row in rows), "<u8"),
            frame_bytes=columns.pack((row.frame_bytes for row in rows), "<u4"),
            logical_bytes=columns.pack((row.logical_bytes for row in rows), "<u4"),
            checks=columns.pack((row.check for row in rows), "<u8"),
        )
    )
    length = struct.pack("<Q", len(table))
    digest = blake3(envelope.pack_header(PACK, uuid) + table + length).digest()
    return table + length + digest + END_MAGIC, digest


def table_bytes(footer: bytes, what: str) -> int:
    """Length of the table, from the last FOOTER_BYTES bytes of a pack."""
    if len(footer) != FOOTER_BYTES or footer[40:] != END_MAGIC:
        raise FormatError(f"{what}: pack is cut short or damaged at its end", object=what)
    length: int = struct.unpack("<Q", footer[:8])[0]
    if length > envelope.MAX_RAW_BYTES:
        raise FormatError(f"{what}: pack table of {length} bytes is over the limit", object=what)
    return length


def parse_table(
    header: bytes, table: bytes, footer: bytes, what: str, table_offset: int, digest: bytes | None = None
) -> list[TableRow]:
    """The rows of a pack's table, checked against its own digest and the one a reference gives.

    table_offset: where the table begins in the pack, which is where the last frame must end.
    """
    found = blake3(header + table + footer[:8]).digest()
    if found != footer[8:40] or (digest is not None and found != digest):
        raise IntegrityError(f"{what}: BLAKE3 of the pack table does not match", object=what)
    rows = _rows(envelope.decode_record(table, PackTable, what), what)
    end = envelope.HEADER_BYTES
    for row in rows:
        if row.offset != end or row.frame_bytes > MAX_FRAME_BYTES or row.logical_bytes > MAX_CHUNK_BYTES:
            raise FormatError(f"{what}: pack table with a gap or an impossible size at {end}", object=what)
        end += row.frame_bytes
    if table_offset != end:
        raise FormatError(f"{what}: the frames end at {end}, but the pack table begins at {table_offset}", object=what)
    return rows


def _rows(record: PackTable, what: str) -> list[TableRow]:
    n, rest = divmod(len(record.chunk_ids), 32)
    if rest:
        raise FormatError(f"{what}: columns do not fit together", object=what)
    ids = [record.chunk_ids[32 * i : 32 * i + 32] for i in range(n)]
    offsets = columns.unpack(record.offsets, "<u8", n, what)
    frame_bytes = columns.unpack(record.frame_bytes, "<u4", n, what)
    logical_bytes = columns.unpack(record.logical_bytes, "<u4", n, what)
    checks = columns.unpack(record.checks, "<u8", n, what)
    return [TableRow(*row) for row in zip(ids, offsets, frame_bytes, logical_bytes, checks, strict=True)]
