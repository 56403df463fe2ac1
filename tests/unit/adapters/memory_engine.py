"""The engine of the adapter tests: rows through real MessagePack, bytes through a dict, in pieces of a few items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ckstore.adapters import tree
from ckstore.format import manifest
from ckstore.format.records import ManifestPage, NodeRow, TensorRow, ValueRow
from ckstore.tensor import TensorView, item_bytes

Rows = list[NodeRow | ValueRow | TensorRow]
PIECE_ITEMS = 7


class Saved:
    """A state as a store would hold it."""

    def __init__(self, state: Any, *, allow_pickle: bool = False) -> None:
        self.data: dict[Any, bytes] = {}
        page = ManifestPage([self._row(row) for row in tree.flatten(state, allow_pickle=allow_pickle)], b"", b"")
        self.rows: Rows = decoded(msgspec.msgpack.encode(page))

    def load(
        self, select: Sequence[str] | None = None, into: Any = None, framework: str | None = None, device: Any = None,
        allow_pickle: bool = False,
    ) -> Any:  # fmt: skip
        """What Store.load does."""
        rows = self.rows if select is None else tree.select(self.rows, select)
        partial = select is not None
        targets = tree.destinations(
            rows, framework=framework, device=device, into=into, allow_pickle=allow_pickle, partial=partial
        )
        for row in rows:
            if isinstance(row, TensorRow) and row.path in targets:
                fill(targets[row.path].destination, self.data[row.path], item_bytes(row.dtype))
        leaves = {path: target.finish() for path, target in targets.items()}
        if into is not None:
            return tree.into_result(rows, leaves, into, allow_pickle=allow_pickle)
        return tree.build(rows, leaves, framework=framework, allow_pickle=allow_pickle, partial=partial)

    def tensor(self, *path: Any) -> TensorRow:
        """The tensor row at a path."""
        return next(row for row in self.rows if isinstance(row, TensorRow) and row.path == path)

    def _row(self, row: NodeRow | ValueRow | TensorView) -> NodeRow | ValueRow | TensorRow:
        if not isinstance(row, TensorView):
            return row
        step = PIECE_ITEMS * item_bytes(row.dtype)
        pieces = [bytes(row.read(at, min(row.nbytes, at + step))) for at in range(0, row.nbytes, step)]
        self.data[row.path] = b"".join(pieces)
        assert len(self.data[row.path]) == row.nbytes
        return TensorRow(row.path, row.kind, row.dtype, list(row.shape), row.attrs, self.data[row.path], [])


def decoded(page: bytes) -> Rows:
    """The rows of an encoded page, checked as the engine checks them."""
    pages = [msgspec.msgpack.decode(page, type=ManifestPage)]
    return [row for row, _ in manifest.from_pages(pages, "a page", 1024)]


def fill(destination: Any, data: bytes, size: int) -> None:
    """Bring bytes to a destination in pieces, through its windows where it has them."""
    for start in range(0, len(data), PIECE_ITEMS * size):
        piece = data[start : start + PIECE_ITEMS * size]
        window = destination.window(start, start + len(piece))
        if window is None:
            destination.write(start, memoryview(piece))
        else:
            window[:] = piece


def round_trip(state: Any, **options: Any) -> Any:
    """Save and load."""
    pickled = options.get("allow_pickle", False)
    return Saved(state, allow_pickle=pickled).load(**options)
