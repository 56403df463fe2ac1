"""The one envelope of all metadata objects: header, pages, head (a MessagePack record), digest.

    OFFSET  SIZE  FIELD
    0       8     magic, 93 43 4b 53 54 4f 52 45 ("\\x93CKSTORE")
    8       1     kind (names.ROOT ... names.PACK)
    9       1     version of this envelope, 1
    10      1     codec of the head: 0 as it is, 1 zstd
    11      1     zero
    12      4     check: low 32 bits of XXH3-64 over bytes 0-11 and 16-55
    16      16    store uuid
    32      8     offset of the head, H
    40      8     stored bytes of the head, S
    48      8     raw bytes of the head
    56      ...   pages, each checked by the BLAKE3-256 in its PageRef
    H       S     head
    H+S     32    BLAKE3-256 over the header and the stored head: the digest by which others refer to the object

All integers are little-endian. INVARIANT: every byte is covered by the check, the digest or a page digest.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import xxhash
import zstandard
from blake3 import blake3

from ckstore.errors import FormatError, IntegrityError, UnsupportedError, UsageError
from ckstore.format.limits import most_raw_bytes
from ckstore.format.records import PageRef

MAGIC = b"\x93CKSTORE"
VERSION = 1
HEADER_BYTES = 56
DIGEST_BYTES = 32
MAX_RAW_BYTES = 64 << 20
"""Largest head or page a reader accepts, before and after decompression."""

RAW, _ZSTD = 0, 1
"""Codecs of a head or page."""
_FIELDS = struct.Struct("<8sBBBBI16sQQQ")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Header:
    """What the first HEADER_BYTES bytes say."""

    kind: int
    codec: int
    uuid: bytes
    head_offset: int
    stored_bytes: int
    raw_bytes: int

    @property
    def end(self) -> int:
        """Length of the whole object."""
        return self.head_offset + self.stored_bytes + DIGEST_BYTES


def pack_header(
    kind: int, uuid: bytes, codec: int = RAW, offset: int = 0, stored_bytes: int = 0, raw_bytes: int = 0
) -> bytes:
    """The header bytes of an object."""
    plain = _FIELDS.pack(MAGIC, kind, VERSION, codec, 0, 0, uuid, offset, stored_bytes, raw_bytes)
    return plain[:12] + struct.pack("<I", _check(plain)) + plain[16:]


def parse_header(data: bytes, kind: int, uuid: bytes | None, what: str) -> Header:
    """The header of object `what`, checked; `uuid` None skips the store test (the first root read tells it)."""
    if len(data) < HEADER_BYTES or data[:8] != MAGIC:
        raise FormatError(f"{what}: not a ckstore object (empty, cut short or foreign file)", object=what)
    _, found, version, codec, zero, check, owner, offset, stored, raw = _FIELDS.unpack(data[:HEADER_BYTES])
    if check != _check(data[:HEADER_BYTES]):
        raise IntegrityError(f"{what}: header check does not match", object=what)
    if version != VERSION or codec not in (RAW, _ZSTD) or zero:
        raise UnsupportedError(f"{what}: envelope {version}, codec {codec}: needs a newer ckstore", object=what)
    if found != kind:
        raise FormatError(f"{what}: holds an object of kind {found}, expected {kind}", object=what)
    if uuid is not None and owner != uuid:
        raise FormatError(f"{what}: belongs to another store", object=what)
    if stored > MAX_RAW_BYTES or raw > MAX_RAW_BYTES:
        raise FormatError(f"{what}: head of {max(stored, raw)} bytes is over the limit", object=what)
    if raw > most_raw_bytes(stored):
        raise FormatError(f"{what}: head of {raw} bytes out of {stored} stored ones: too many", object=what)
    if offset >= 1 << 62 or (stored and offset < HEADER_BYTES):
        raise FormatError(f"{what}: head at {offset}, where none can be", object=what)
    return Header(found, codec, owner, offset, stored, raw)


def encode(
    kind: int, uuid: bytes, record: msgspec.Struct, pages: Sequence[bytes] = (), compress: bool = True
) -> tuple[bytes, bytes]:
    """(bytes of the whole object, its digest). The record's own PageRefs count offsets from the object's start."""
    raw = _encode_record(record)
    stored, codec = _squeeze(raw) if compress else (raw, RAW)
    offset = HEADER_BYTES + sum(map(len, pages))
    header = pack_header(kind, uuid, codec, offset, len(stored), len(raw))
    digest = blake3(header + stored).digest()
    return b"".join([header, *pages, stored, digest]), digest


def decode_head(
    header_bytes: bytes, header: Header, tail: bytes, record_type: type[_R], what: str, digest: bytes | None = None
) -> tuple[_R, bytes]:
    """(record, digest) of an object. tail: its bytes from the head's offset on. digest: what a reference says."""
    stored = tail[: header.stored_bytes]
    if len(tail) != header.stored_bytes + DIGEST_BYTES:
        raise FormatError(f"{what}: cut short or too long", object=what)
    found = blake3(header_bytes + stored).digest()
    if found != tail[header.stored_bytes :] or (digest is not None and found != digest):
        raise IntegrityError(f"{what}: BLAKE3 does not match", object=what)
    raw = _unsqueeze(stored, header.codec, header.raw_bytes, what)
    return decode_record(raw, record_type, what), found


def decode_record(raw: bytes, record_type: type[_R], what: str) -> _R:
    """One MessagePack record of exactly this type; raises FormatError."""
    try:
        return msgspec.msgpack.decode(raw, type=record_type)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise FormatError(f"{what}: malformed record: {error}", object=what) from error


def encode_map(value: dict[str, Any]) -> msgspec.Raw:
    """A free map as records hold it; UsageError if it cannot be stored or would come back as another."""
    return msgspec.Raw(_encode_checked(value, dict[str, Any], "map of notes"))


def decode_map(raw: msgspec.Raw, what: str) -> dict[str, Any]:
    """Inverse of encode_map(); each time a new map. Raises FormatError."""
    found: dict[str, Any] = decode_record(bytes(raw), dict[str, Any], what)
    return found


def encode_page(record: msgspec.Struct, compress: bool = True) -> tuple[bytes, int, bytes]:
    """(stored bytes, raw bytes, digest) of one page. The first stored byte is the codec."""
    raw = _encode_record(record)
    stored, codec = _squeeze(raw) if compress else (raw, RAW)
    stored = bytes([codec]) + stored
    return stored, len(raw), blake3(stored).digest()


def decode_page(stored: bytes, ref: PageRef, record_type: type[_R], what: str) -> _R:
    """The record of a page that `ref` names, checked against its digest."""
    if blake3(stored).digest() != ref.digest:
        raise IntegrityError(f"{what}: page at {ref.offset}: BLAKE3 does not match", object=what, offset=ref.offset)
    if not stored or len(stored) != ref.stored_bytes or ref.raw_bytes > MAX_RAW_BYTES:
        raise FormatError(f"{what}: page at {ref.offset}: bad size", object=what, offset=ref.offset)
    if stored[0] not in (RAW, _ZSTD):
        raise UnsupportedError(f"{what}: page at {ref.offset}: codec {stored[0]}: needs a newer ckstore", object=what)
    return decode_record(_unsqueeze(stored[1:], stored[0], ref.raw_bytes, what), record_type, what)


def _encode_record(record: msgspec.Struct) -> bytes:
    return _encode_checked(record, type(record), type(record).__name__)


def _encode_checked(value: Any, as_type: Any, name: str) -> bytes:
    """Refuses what no reader would accept, or would take for something else, before anything is published."""
    try:
        raw = msgspec.msgpack.encode(value)
        same = raw == msgspec.msgpack.encode(msgspec.msgpack.decode(raw, type=as_type))
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise UsageError(f"one {name} holds what cannot be stored: {error}") from error
    if not same:
        raise UsageError(f"one {name} holds a value that would come back as another")
    if len(raw) >= MAX_RAW_BYTES:
        raise UsageError(
            f"one {name} takes {len(raw)} of at most {MAX_RAW_BYTES} bytes: "
            "save fewer or smaller keys, values and tensors in one checkpoint, or larger chunks"
        )
    return raw


def _check(header: bytes) -> int:
    return xxhash.xxh3_64_intdigest(header[:12] + header[16:HEADER_BYTES]) & 0xFFFFFFFF


def _squeeze(raw: bytes) -> tuple[bytes, int]:
    stored = zstandard.ZstdCompressor(level=3).compress(raw)
    return (stored, _ZSTD) if len(stored) < len(raw) <= most_raw_bytes(len(stored)) else (raw, RAW)


def _unsqueeze(stored: bytes, codec: int, raw_bytes: int, what: str) -> bytes:
    if codec == RAW:
        raw = stored
    else:
        try:
            # INVARIANT: the declared size is bounded and checked before anything is allocated
            if zstandard.frame_content_size(stored) != raw_bytes:
                raise FormatError(f"{what}: declared and stored sizes differ", object=what)
            raw = zstandard.ZstdDecompressor().decompress(stored, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise FormatError(f"{what}: does not decompress: {error}", object=what) from error
    if len(raw) != raw_bytes:
        raise FormatError(f"{what}: declared and stored sizes differ", object=what)
    return raw
