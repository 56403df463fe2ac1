"""How a state is refused: always with the path and the type, and what to do instead."""

from __future__ import annotations

from typing import Any

from ckstore.errors import UsageError
from ckstore.tensor import Path, dotted


class RefusedError(Exception):
    """Raised inside adapters by code that knows why a value cannot be saved but not where it lies."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def where(path: Path) -> str:
    """`path` for a message; the root has no name of its own."""
    return repr(dotted(path)) if path else "the state itself"


def type_name(value: Any) -> str:
    """The full name of the type of `value`."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def refuse(path: Path, value: Any, reason: str) -> UsageError:
    """The error for a value that cannot be saved."""
    name = type_name(value)
    return UsageError(f"cannot save {where(path)} ({name}): {reason}", path=dotted(path), type=name)
