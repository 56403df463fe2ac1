"""What a codec is given, and what it has to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one tensor. base: the same piece of an earlier checkpoint. master: the piece of its float32 master.

    part: "weight", "momentum", "variance" or "average", "" for anything else. columns: elements in a row of the matrix,
    0 if it is none. first: index of the piece's first element in the tensor.
    """

    raw: np.ndarray
    dtype: str
    item_bytes: int
    base: np.ndarray | None = None
    master: np.ndarray | None = None
    part: str = ""
    columns: int = 0
    first: int = 0


class Codec(ABC):
    """On one thread. Where a chunk has a base, a codec that knows nothing of bases codes the XOR with it."""

    name: ClassVar[str]
    knows_bases: ClassVar[bool] = False
    slow: ClassVar[bool] = False
    """Whether one round must do."""

    @classmethod
    def missing(cls) -> str:
        """Why it cannot run here; "" if it can."""
        return ""

    def takes(self, dtype: str) -> bool:
        """Whether it has a way for this dtype."""
        return True

    def encode_chunk(self, chunk: Chunk) -> Any:
        """The payload of one chunk."""
        raw = chunk.raw if chunk.base is None else chunk.raw ^ chunk.base
        return self.encode(raw, chunk.dtype, chunk.item_bytes)

    def decode_chunk(self, payload: Any, chunk: Chunk) -> Any:
        """The bytes of the chunk; uses of `chunk` all but `raw`, of which it may know the length."""
        out = self.decode(payload, len(chunk.raw), chunk.dtype, chunk.item_bytes)
        return out if chunk.base is None else np.frombuffer(out, np.uint8) ^ chunk.base

    def payload_bytes(self, payload: Any) -> int:
        """Size of a payload, with all that decoding needs."""
        return len(payload)

    @abstractmethod
    def encode(self, raw: np.ndarray, dtype: str, item_bytes: int) -> Any:
        """Payload of `raw`, an array of bytes."""

    @abstractmethod
    def decode(self, payload: Any, n_bytes: int, dtype: str, item_bytes: int) -> Any:
        """Inverse of encode(): a buffer."""


def typed(raw: np.ndarray, item_bytes: int) -> np.ndarray:
    """`raw` as unsigned integers of its item size."""
    return raw.view(f"u{item_bytes}")
