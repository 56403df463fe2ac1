"""Small changes of inputs: of their bytes, or of the tree of MessagePack values that they are."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec

ODD_BYTES = (0, 1, 2, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 192, 255)
ODD_VALUES: tuple[Any, ...] = (
    None, True, 0, 1, -1, 255, 256, (1 << 31) - 1, 1 << 32, (1 << 62) - 1, 1 << 62, (1 << 63) - 1, 1 << 63,
    (1 << 64) - 1, -(1 << 63), 0.5, float("nan"), float("inf"), "", "x" * 300, "../../x", "\0", "1-" + "f" * 16 + "-1",
    b"", b"\0", bytes(32), b"\xff" * 64, [], {}, [[]] * 5, {"": 0},
)  # fmt: skip
MOST_NODES = 2000


def mutated(data: bytes, others: Sequence[bytes], rng: random.Random, tree: bool) -> bytes:
    """`data` with one to a few changes. others: what parts may be taken from. tree: it is MessagePack, mostly."""
    if tree and rng.random() < 0.6:
        data = _mutated_tree(data, rng)
        if rng.random() < 0.9:
            return data
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        _mutate(changed, rng.choice(others), rng)
    return bytes(changed)


def _mutate(data: bytearray, other: bytes, rng: random.Random) -> None:
    at, n = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 4, 8, 32))
    match rng.randrange(8 if data else 1):
        case 0:
            data[at:at] = rng.randbytes(n)
        case 1:
            data[at - 1] ^= 1 << rng.randrange(8)
        case 2:
            data[at - 1] = rng.choice(ODD_BYTES)
        case 3:
            data[at - 1] = (data[at - 1] + rng.randint(-4, 4)) % 256
        case 4:
            data[at : at + n] = b""
        case 5:
            data[at : at + n] = rng.randbytes(n)
        case 6:
            data[at:at] = data[rng.randrange(len(data)) :][:n]
        case _:
            data[at:] = other[rng.randrange(len(other) + 1) :]


def _nodes(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in a tree."""
    top: list[Any] = [value]
    found, left = [(top, 0)], [top]
    while left and len(found) < MOST_NODES:
        holder = left.pop()
        for key in range(len(holder)) if isinstance(holder, list) else list(holder):
            found.append((holder, key))
            if isinstance(holder[key], list | dict):
                left.append(holder[key])
    return found


def _mutated_tree(data: bytes, rng: random.Random) -> bytes:
    try:
        value = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, RecursionError, TypeError, ValueError):
        return data
    nodes = _nodes(value)
    top = nodes[0][0]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        holder, key = rng.choice(nodes)
        if key in holder if isinstance(holder, dict) else key < len(holder):
            _mutate_node(holder, key, rng.choice(nodes), rng)
    try:
        return msgspec.msgpack.encode(top[0])
    except (TypeError, ValueError, OverflowError, RecursionError, IndexError):
        return data


def _mutate_node(holder: Any, key: Any, other: tuple[Any, Any], rng: random.Random) -> None:
    value = holder[key]
    match rng.randrange(6):
        case 0:
            holder[key] = rng.choice(ODD_VALUES)
        case 1 if isinstance(holder, list):
            holder[key:key] = [value] * rng.choice((1, 1, 2, 300))
        case 2 if len(holder) > 1 or isinstance(holder, dict):
            del holder[key]
        case 3 if not isinstance(value, list | dict):
            with_other = other[0][other[1]] if isinstance(other[0], list) and other[1] < len(other[0]) else value
            holder[key] = value if isinstance(with_other, list | dict) else with_other
        case 4:
            holder[key] = [value] if rng.random() < 0.9 else _deep(value, 600)
        case _:
            holder[key] = _near(value, rng)


def _deep(value: Any, n: int) -> Any:
    for _ in range(n):
        value = [value]
    return value


def _near(value: Any, rng: random.Random) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return max(-(1 << 63), min(value + rng.choice((-1, 1, 8, -8, value)), (1 << 64) - 1))
        case bytes() | str():
            cut = rng.randrange(len(value) + 1)
            return value[:cut] if rng.random() < 0.5 else value[:cut] + value
        case float():
            return -value
    return value
