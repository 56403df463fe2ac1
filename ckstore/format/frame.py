"""A frame: one encoded chunk with all that is needed to decode it, given the logical bytes of its bases.

    OFFSET  SIZE   FIELD
    0       4      magic "CKF1"
    4       1      codec id
    5       1      number of bases B, 0-4
    6       2      bytes of the codec's parameters P
    8       4      logical bytes of the chunk
    12      4      bytes of the payload N
    16      32     chunk id: BLAKE3-256 of the logical bytes
    48      8      XXH3-64 of the payload
    56      4      check: low 32 bits of XXH3-64 over bytes 0-55 and 60 .. 60+33B+P
    60      33 B   bases: role (1), chunk id (32)
    60+33B  P      codec parameters
    ...     N      payload

Codec ids and roles are append-only; FORMAT.md describes the payload of each.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import xxhash

from ckstore.errors import FormatError, IntegrityError

RAW, FILL, PLANES, DELTA_INT, DELTA_XOR, ROUND, PREDICTED = 0, 1, 2, 3, 4, 5, 6
CODEC_NAMES = dict(enumerate(["raw", "fill", "planes", "delta_int", "delta_xor", "round", "predicted"]))
ROLE_PREVIOUS, ROLE_MASTER = 1, 2
ROLE_MOMENTUM, ROLE_MOMENTUM_BEFORE, ROLE_VARIANCE, ROLE_WEIGHTS, ROLE_WEIGHTS_BEFORE = 3, 4, 5, 6, 7
"""At the same place of another tensor: now, or in the checkpoint that `previous` is of (before)."""
COMPANIONS = frozenset(range(ROLE_MOMENTUM, ROLE_WEIGHTS_BEFORE + 1))

MAGIC = b"CKF1"
MAX_BASES = 4
MAX_CHUNK_BYTES = 16 << 20
MAX_FRAME_BYTES = MAX_CHUNK_BYTES + (1 << 17)
MAX_DEPTH = 64
"""Longest chain of frames a reader accepts."""

_FIELDS = struct.Struct("<4sBBHII32sQI")
_BASE_BYTES = 33


@dataclass(frozen=True, slots=True)
class Base:
    """What a frame is a delta of: the chunk with this id, in this role."""

    role: int
    chunk_id: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """One encoded chunk."""

    codec: int
    chunk_id: bytes
    logical_bytes: int
    bases: tuple[Base, ...]
    params: bytes
    payload: bytes | memoryview

    @property
    def frame_bytes(self) -> int:
        """Bytes of the whole frame in a pack."""
        return _FIELDS.size + _BASE_BYTES * len(self.bases) + len(self.params) + len(self.payload)


def pack_front(frame: Frame) -> bytes:
    """All of the frame but its payload."""
    tail = b"".join(bytes([base.role]) + base.chunk_id for base in frame.bases) + frame.params
    front = struct.pack(
        "<4sBBHII32sQ", MAGIC, frame.codec, len(frame.bases), len(frame.params), frame.logical_bytes,
        len(frame.payload), frame.chunk_id, xxhash.xxh3_64_intdigest(frame.payload),
    )  # fmt: skip
    return front + struct.pack("<I", _check(front, tail)) + tail


def parse(data: memoryview, what: str) -> Frame:
    """The frame that fills `data`, checked; its payload is a view of `data`. Raises FormatError or IntegrityError."""
    size = _FIELDS.size
    if len(data) < size or bytes(data[:4]) != MAGIC:
        raise FormatError(f"{what}: no frame here", object=what)
    _, codec, n_bases, n_params, logical, n_payload, chunk_id, payload_check, check = _FIELDS.unpack(data[:size])
    start = size + _BASE_BYTES * n_bases + n_params
    if n_bases > MAX_BASES or logical > MAX_CHUNK_BYTES or start + n_payload != len(data):
        raise FormatError(f"{what}: frame with lengths that do not fit", object=what)
    tail = bytes(data[size:start])
    if check != _check(bytes(data[: size - 4]), tail):
        raise IntegrityError(f"{what}: frame header check does not match", object=what)
    payload = data[start:]
    if xxhash.xxh3_64_intdigest(payload) != payload_check:
        raise IntegrityError(f"{what}: payload check does not match", object=what)
    return Frame(codec, chunk_id, logical, _parse_bases(tail, n_bases), tail[_BASE_BYTES * n_bases :], payload)


def front_bytes(head: memoryview) -> int | None:
    """How long all but the payload is of the frame that begins with `head`; None if no frame can begin so."""
    if len(head) < _FIELDS.size or bytes(head[:4]) != MAGIC or head[5] > MAX_BASES:
        return None
    return int(_FIELDS.size + _BASE_BYTES * head[5] + int.from_bytes(head[6:8], "little"))


def stated_bytes(front: memoryview) -> int | None:
    """How long the frame is that begins with `front`, which is all but its payload; None if that is damaged."""
    n_front = front_bytes(front)
    if n_front is None or len(front) < n_front:
        return None
    _, _, _, _, logical, n_payload, _, _, check = _FIELDS.unpack(front[: _FIELDS.size])
    whole = check == _check(bytes(front[: _FIELDS.size - 4]), bytes(front[_FIELDS.size : n_front]))
    size = n_front + int(n_payload)
    return size if whole and logical <= MAX_CHUNK_BYTES and size <= MAX_FRAME_BYTES else None


def _parse_bases(tail: bytes, n_bases: int) -> tuple[Base, ...]:
    rows = (tail[_BASE_BYTES * i : _BASE_BYTES * (i + 1)] for i in range(n_bases))
    return tuple(Base(row[0], row[1:]) for row in rows)


def _check(front: bytes, tail: bytes) -> int:
    return xxhash.xxh3_64_intdigest(front + tail) & 0xFFFFFFFF
