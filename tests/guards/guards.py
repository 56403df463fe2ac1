"""All guards of ckstore: how each is taken away, and the scenario that goes wrong without it."""

from __future__ import annotations

from tests.guards.argued import ARGUED
from tests.guards.durable import DURABLE
from tests.guards.guard import Guard
from tests.guards.intact import INTACT
from tests.guards.listed import LISTED
from tests.guards.live import LIVE
from tests.guards.told import TOLD

GUARDS: dict[str, Guard] = {**DURABLE, **INTACT, **LISTED, **LIVE, **TOLD}

__all__ = ["ARGUED", "GUARDS"]
