"""What a verify finds: damages by object, each with the tensors it touches, and how much was looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ckstore.engine.reports import Damage, VerifyReport
from ckstore.errors import CkError, UnsupportedError

WHOLE = "*"
"""Stands for all tensors of a checkpoint, where their names cannot be told or all are meant."""

Touched = Mapping[str, Iterable[str]]
"""Checkpoints by reference, and the dotted paths of their tensors."""


class Found:
    """Damages as they are found, with what each of them touches."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        self.touched: dict[str, dict[str, dict[str, None]]] = {}
        """By object, by reference: paths."""
        self.n_objects = self.n_bytes = 0

    def guard(self, what: str, work: Callable[[], None], touched: Touched | None = None) -> bool:
        """Run a check; a failure of it becomes a damage of `what` (or of the object the error names)."""
        self.n_objects += 1
        try:
            work()
        except UnsupportedError:
            raise  # what a newer version wrote is not damaged
        except (CkError, OSError) as error:
            details = error.details if isinstance(error, CkError) else {}
            self.add(str(details.get("object", what)), str(error), touched)
            return False
        return True

    def add(self, what: str, problem: str, touched: Touched | None = None) -> None:
        """Note a problem of `what`; the first one found is the one reported."""
        self.problems.setdefault(what, problem)
        for ref, paths in (touched or {}).items():
            self.touch(what, ref, paths)

    def touch(self, what: str, ref: str, paths: Iterable[str]) -> None:
        """Note what a damage that was added touches."""
        self.touched.setdefault(what, {}).setdefault(ref, {}).update(dict.fromkeys(paths))

    def report(self, level: str) -> VerifyReport:
        """All that was found."""
        found = [self._damage(what, problem) for what, problem in self.problems.items()]
        return VerifyReport(level, not found, self.n_objects, self.n_bytes, found)

    def _damage(self, what: str, problem: str) -> Damage:
        touched = self.touched.get(what, {})
        tensors = {ref: [WHOLE] if WHOLE in paths else list(paths) for ref, paths in touched.items()}
        return Damage(what, problem, list(touched), tensors)
