"""Long runs of bytes, stored as tensors of bytes: manifests stay small, chunks deduplicate."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

from ckstore.adapters import plain
from ckstore.adapters.refusal import refuse, type_name, where
from ckstore.adapters.target import Target
from ckstore.errors import FormatError, UsageError
from ckstore.format.records import TensorRow, ValueRow
from ckstore.tensor import Destination, Path, TensorView

BYTES, PLAIN, PICKLE = "python.bytes", "python.plain", "python.pickle"
KINDS = frozenset((BYTES, PLAIN, PICKLE))
INLINE_BYTES = 16 << 10
"""A plain value whose encoding is longer than this is stored as a tensor of bytes."""


def plain_row(path: Path, value: Any) -> ValueRow | TensorView:
    """The row of a plain value; RefusedError if it is not plain."""
    if type(value) is bytes and len(value) > INLINE_BYTES:
        return _view(path, BYTES, value)
    data = plain.pack(value)
    return ValueRow(path, data) if len(data) <= INLINE_BYTES else _view(path, PLAIN, data)


def pickled_row(path: Path, value: Any) -> TensorView:
    """The row of an object of any type, by pickle. attrs["type"] is for display only."""
    try:
        data = pickle.dumps(value)
    except Exception as error:  # pickle raises whatever the object's own hooks raise
        raise refuse(path, value, f"pickle cannot save it either: {error}") from error
    return _view(path, PICKLE, data, {"type": type_name(value)})


@dataclass(frozen=True, slots=True)
class Pickled:
    """A pickle that has been read and not been run."""

    data: bytearray

    def open(self, path: Path) -> Any:
        """Run it. REQUIRES: the caller has said allow_pickle=True."""
        try:
            return pickle.loads(self.data)
        except Exception as error:  # running a pickle may raise anything
            raise UsageError(f"cannot unpickle {where(path)}: {error}") from error


def refuse_pickle(path: Path, row: TensorRow) -> UsageError:
    """The error for a pickle that nobody has allowed."""
    return UsageError(
        f"{where(path)} was saved by pickle ({row.attrs.get('type')!r:.200}): loading it runs code from the store; "
        "pass allow_pickle=True if you trust whoever saved it, or leave it out with select="
    )


def target(row: TensorRow, path: Path, framework: str | None) -> Target:
    """Collects the bytes of an opaque row."""
    if row.dtype != "uint8" or len(row.shape) != 1:
        raise FormatError(f"row {path!r}: a {row.kind} is a row of bytes")
    buffer = bytearray(row.shape[0])
    memory = memoryview(buffer)

    def write(start: int, data: memoryview) -> None:
        memory[start : start + data.nbytes] = data.cast("B")

    def finish() -> Any:
        if row.kind == BYTES:
            return bytes(buffer)
        return Pickled(buffer) if row.kind == PICKLE else plain_value(buffer, path, framework)

    return Target(Destination(lambda start, stop: memory[start:stop], write), finish)


def plain_value(data: bytes | bytearray, path: Path, framework: str | None) -> Any:
    """Inverse of plain_row() for encoded bytes; errors name the path."""
    try:
        return plain.unpack(data, without_torch=framework == "numpy")
    except (FormatError, UsageError) as error:
        raise type(error)(f"{where(path)}: {error.message}") from error


def _view(path: Path, kind: str, data: bytes, attrs: dict[str, Any] | None = None) -> TensorView:
    memory = memoryview(data)
    return TensorView(path, kind, "uint8", (len(data),), lambda start, stop: memory[start:stop], attrs or {})
