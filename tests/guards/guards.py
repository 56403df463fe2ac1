"""All guards of ckstore: how each is taken away, and the scenario that goes wrong without it."""

from __future__ import annotations

from tests.guards.argued import ARGUED
from tests.guards.durable import DURABLE
from tests.guards.guard import Guard
from tests.guards.intact import INTACT
from tests.guards.live import LIVE

GUARDS: dict[str, Guard] = {**DURABLE, **INTACT, **LIVE}

__all__ = ["ARGUED", "GUARDS"]
