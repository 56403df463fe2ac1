"""One saved state as users see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ckstore.errors import FormatError
from ckstore.format import envelope
from ckstore.format.records import EMPTY, Entry

DROPPED = "dropped"
"""Key of `extra` of an entry, and of its manifest."""


@dataclass(frozen=True)
class Checkpoint:
    """One saved state, as the catalog knows it. A copy: changing what it holds changes nothing in the store."""

    id: str
    run: str
    step: int
    time: datetime
    metrics: dict[str, float]
    tags: list[str]
    meta: dict[str, Any]
    logical_bytes: int
    stored_bytes: int
    """Sizes of all files that its save added."""
    parent: str | None
    """Id of the checkpoint it was saved against."""
    n_tensors: int
    dropped: list[str]
    """Patterns of the leaves that were thinned out since it was saved; none: it is whole."""

    def __hash__(self) -> int:
        """By id, since metrics, tags and meta may change."""
        return hash(self.id)

    @property
    def ref(self) -> str:
        """RUN@STEP, which names this checkpoint unless the step was saved again later."""
        return f"{self.run}@{self.step}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as for JSON."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"ref": self.ref, **fields, "time": self.time.isoformat()}


def of_entry(entry: Entry) -> Checkpoint:
    """The checkpoint of a catalog entry. The entry is shared by everyone who reads this root: nobody gets its parts."""
    time = datetime.fromtimestamp(entry.time_ns / 1e9, UTC)
    meta = envelope.decode_map(entry.meta, f"checkpoint {entry.id.hex()[:12]}")
    return Checkpoint(
        entry.id.hex(), entry.run, entry.step, time, dict(entry.metrics), list(entry.tags), meta,
        entry.logical_bytes, entry.stored_bytes, entry.parent.hex() or None, entry.n_tensors, dropped(entry),
    )  # fmt: skip


def dropped(entry: Entry) -> list[str]:
    """The patterns of the leaves that were thinned out of a checkpoint, in order. Raises FormatError."""
    if bytes(entry.extra) == bytes(EMPTY):
        return []
    what = f"checkpoint {entry.id.hex()[:12]}"
    found = envelope.decode_map(entry.extra, what).get(DROPPED, [])
    if not isinstance(found, list) or not all(isinstance(pattern, str) for pattern in found):
        raise FormatError(f"{what}: the list of what was dropped from it is malformed", object=what)
    return found
