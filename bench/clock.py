"""How long a call takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def timed(call: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, float]:
    """The result of `call(...)` and its seconds."""
    start = time.perf_counter()
    result = call(*arguments, **options)
    return result, time.perf_counter() - start


def seconds(call: Callable[..., Any], *arguments: Any, **options: Any) -> float:
    """The seconds of `call(...)`; its result is let go."""
    return timed(call, *arguments, **options)[1]
