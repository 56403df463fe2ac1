"""Tensors that are one object or share memory: marked on save, put together again on load.

attrs["same"] = n: all rows with this n are one object (they also have equal bytes: one needs to be read).
attrs["shared"] = {group, members, span_bytes, offset, strides}: one of so many overlapping views of one buffer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from blake3 import blake3

from ckstore.adapters.memory import Memory, overlapping, same
from ckstore.errors import FormatError
from ckstore.format.records import TensorRow
from ckstore.tensor import Path, item_bytes

_SLACK_BYTES = 4096


class Shared(msgspec.Struct, frozen=True):
    """One member of a group of overlapping views. offset: of its first element; strides in bytes."""

    group: int
    members: int
    span_bytes: int
    offset: int
    strides: list[int]


def mark(memories: Sequence[Memory | None], attrs: Sequence[dict[str, Any]]) -> None:
    """Write the ties among `memories` into the attributes of the same position."""
    twins = same(memories)
    for number, positions in enumerate(twins):
        for position in positions:
            attrs[position]["same"] = number
    twin_of = {positions[0]: positions for positions in twins}
    for number, positions in enumerate(overlapping(memories)):
        members = [memory for position in positions if (memory := memories[position]) is not None]
        low, high = min(memory.low for memory in members), max(memory.high for memory in members)
        if not _worth_a_buffer(members, high - low) or any(not _aligned(memory, low) for memory in members):
            continue
        for position, memory in zip(positions, members, strict=True):
            shared = Shared(number, len(members), high - low, memory.address - low, list(memory.strides))
            for twin in twin_of.get(position, [position]):
                attrs[twin]["shared"] = msgspec.to_builtins(shared)


def conflict(
    rows: Mapping[Path, TensorRow], memories: Mapping[Path, Memory | None], chunk_ids: Mapping[Path, bytes]
) -> tuple[Path, Path] | None:
    """Two paths whose live tensors share memory as the saved ones did not, if different bytes may belong there."""
    live: dict[Path, dict[str, Any]] = {path: {} for path in memories}
    mark(list(memories.values()), list(live.values()))
    first: dict[tuple[str, int], Path] = {}
    for path, attrs in live.items():
        if "same" in attrs:
            other = first.setdefault(("same", attrs["same"]), path)
            if not (other == path or _one_value(rows[other], rows[path], chunk_ids)):
                return other, path
        if "shared" in attrs:
            other = first.setdefault(("shared", attrs["shared"]["group"]), path)
            if not (other == path or _one_buffer(rows[other], rows[path], live[other], attrs)):
                return other, path
    return None


def _one_value(a: TensorRow, b: TensorRow, chunk_ids: Mapping[Path, bytes]) -> bool:
    if a.attrs.get("same") is not None and a.attrs["same"] == b.attrs.get("same"):
        return True
    value = _content(a, chunk_ids)
    return value is not None and value == _content(b, chunk_ids)


def _content(row: TensorRow, chunk_ids: Mapping[Path, bytes]) -> bytes | None:
    """Equal for equal bytes; a chunk id is the BLAKE3 of the chunk."""
    return chunk_ids.get(row.path) if row.inline is None else blake3(row.inline).digest()


def _one_buffer(a: TensorRow, b: TensorRow, live_a: dict[str, Any], live_b: dict[str, Any]) -> bool:
    """Whether two views lie to each other as they did when they were saved."""
    if "shared" not in a.attrs or "shared" not in b.attrs:
        return False
    was, now = (_parse(a), _parse(b)), (live_a["shared"], live_b["shared"])
    return (
        was[0].group == was[1].group
        and was[1].offset - was[0].offset == now[1]["offset"] - now[0]["offset"]
        and [shared.strides for shared in was] == [shared["strides"] for shared in now]
    )


def whole_groups(rows: Sequence[TensorRow]) -> dict[Path, Shared]:
    """The rows whose groups of overlapping views are all among `rows`; one entry for each distinct tensor."""
    groups: dict[int, dict[Path, tuple[Shared, TensorRow]]] = {}
    for row in first_of_same(rows):
        if "shared" in row.attrs:
            shared = _parse(row)
            groups.setdefault(shared.group, {})[row.path] = shared, row
    found: dict[Path, Shared] = {}
    for members in groups.values():
        if all(shared.members == len(members) for shared, _ in members.values()):
            _check_group([shared for shared, _ in members.values()], sum(_n_bytes(row) for _, row in members.values()))
            found.update({path: shared for path, (shared, _) in members.items()})
    return found


def first_of_same(rows: Sequence[TensorRow]) -> list[TensorRow]:
    """`rows` without those that are the same object as an earlier one."""
    seen: set[int | None] = set()
    kept = []
    for row in rows:
        number = row.attrs.get("same")
        if number is not None and type(number) is not int:
            raise FormatError(f"row {row.path!r}: malformed attribute 'same'")
        if number is None or number not in seen:
            kept.append(row)
        seen.add(number)
    return kept


def _parse(row: TensorRow) -> Shared:
    try:
        shared = msgspec.convert(row.attrs["shared"], Shared)
    except msgspec.ValidationError as error:
        raise FormatError(f"row {row.path!r}: malformed attribute 'shared': {error}") from error
    if len(shared.strides) != len(row.shape) or 0 in row.shape:
        raise FormatError(f"row {row.path!r}: attribute 'shared' does not fit its shape")
    place = Memory("", shared.offset, tuple(row.shape), tuple(shared.strides), item_bytes(row.dtype), None)
    if place.low < 0 or place.high > shared.span_bytes or not _aligned(place, 0):
        raise FormatError(f"row {row.path!r}: its view does not fit the shared buffer")
    return shared


def _check_group(members: list[Shared], n_bytes: int) -> None:
    spans = {shared.span_bytes for shared in members}
    if len(spans) > 1 or spans.pop() > 2 * n_bytes + _SLACK_BYTES:
        raise FormatError(f"group {members[0].group} of shared memory: impossible size")


def _worth_a_buffer(members: list[Memory], span_bytes: int) -> bool:
    """A few thin views far apart in a huge tensor must not bring the huge tensor back."""
    return span_bytes <= 2 * sum(memory.n_bytes for memory in members) + _SLACK_BYTES


def _aligned(memory: Memory, base: int) -> bool:
    return not any(n % memory.item_bytes for n in (memory.address - base, *memory.strides))


def _n_bytes(row: TensorRow) -> int:
    return Memory("", 0, tuple(row.shape), (), item_bytes(row.dtype), None).n_bytes
