"""What a load makes for each tensor: somewhere to put its bytes, and the leaf that they become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ckstore.tensor import Destination


@dataclass(frozen=True, slots=True)
class Target:
    """One tensor being loaded. finish(): the leaf; call it once, after all bytes have arrived."""

    destination: Destination
    finish: Callable[[], Any]
