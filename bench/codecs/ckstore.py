"""ckstore's own codec, called as its engine calls it: a chunk in, a frame's payload out."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.codecs.base import Chunk, Codec
from ckstore.codec import chunk as door
from ckstore.codec.hints import Hints
from ckstore.codec.levels import Level
from ckstore.format.frame import ROLE_MASTER, ROLE_PREVIOUS, Base, Frame


class Ckstore(Codec):
    """Sizes count the whole frame. Decoding writes into one buffer that is used again, as a restore does."""

    name = "ckstore"
    knows_bases = True
    level = Level.BALANCED

    def __init__(self) -> None:
        self._out = np.empty(1 << 21, np.uint8)

    def encode_chunk(self, chunk: Chunk) -> Any:
        references = []
        if chunk.base is not None:
            references.append(door.Reference(ROLE_PREVIOUS, chunk.dtype, memoryview(chunk.base)))
        if chunk.master is not None:
            references.append(door.Reference(ROLE_MASTER, "float32", memoryview(chunk.master)))
        hints = Hints(chunk.part, chunk.columns, chunk.first)
        return door.encode(memoryview(chunk.raw), chunk.dtype, references, hints, level=self.level)

    def decode_chunk(self, payload: Any, chunk: Chunk) -> Any:
        offered = [memoryview(data) for data in (chunk.base, chunk.master) if data is not None]
        out = memoryview(self._out)[: len(chunk.raw)]
        bases = [offered[position] for position in payload.used]
        door.decode_into(payload.codec, payload.params, memoryview(payload.payload), bases, out)
        return out

    def payload_bytes(self, payload: Any) -> int:
        bases = tuple(Base(0, b"") for _ in payload.used)
        return Frame(payload.codec, b"", 0, bases, payload.params, payload.payload).frame_bytes

    def encode(self, raw: np.ndarray, dtype: str, item_bytes: int) -> Any:
        return self.encode_chunk(Chunk(raw, dtype, item_bytes))

    def decode(self, payload: Any, n_bytes: int, dtype: str, item_bytes: int) -> Any:
        return self.decode_chunk(payload, Chunk(np.empty(n_bytes, np.uint8), dtype, item_bytes))


class CkstoreFast(Ckstore):
    """Its level for disks that take more than a core can code."""

    name = "ckstore fast"
    level = Level.FAST


class CkstoreArchive(Ckstore):
    """Its level for checkpoints that are kept."""

    name = "ckstore archive"
    level = Level.ARCHIVE
    slow = True
