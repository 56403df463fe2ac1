"""What a verify finds: damages by object, each with the checkpoints it touches, and how much was looked at."""

from __future__ import annotations

from collections.abc import Callable

from ckstore.engine.reports import Damage, VerifyReport
from ckstore.errors import CkError


class Found:
    """Damages as they are found, with the checkpoints each of them touches."""

    def __init__(self) -> None:
        self.damages: dict[str, tuple[str, dict[str, None]]] = {}
        self.n_objects = self.n_bytes = 0

    def guard(self, what: str, work: Callable[[], None], checkpoints: list[str]) -> bool:
        """Run a check; a failure of it becomes a damage of `what` (or of the object the error names)."""
        self.n_objects += 1
        try:
            work()
        except (CkError, OSError) as error:
            details = error.details if isinstance(error, CkError) else {}
            self.add(str(details.get("object", what)), str(error), checkpoints)
            return False
        return True

    def add(self, what: str, problem: str, checkpoints: list[str]) -> None:
        """Note a problem of `what`; the first one found is the one reported."""
        self.damages.setdefault(what, (problem, {}))[1].update(dict.fromkeys(checkpoints))

    def report(self, level: str) -> VerifyReport:
        """All that was found."""
        found = [Damage(what, problem, list(touched)) for what, (problem, touched) in self.damages.items()]
        return VerifyReport(level, not found, self.n_objects, self.n_bytes, found)
