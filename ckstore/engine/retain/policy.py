"""Keep: which checkpoints of a store are worth their bytes. Checked when it is made, so that no rule is half meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ckstore.engine import labels
from ckstore.engine.selection import listed
from ckstore.errors import UsageError

DIRECTIONS = ("min", "max")


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Rules for Store.keep(). A checkpoint stays if any of last, best, every, ttl_s keeps it; tagged ones always stay.

    last: the newest N of each run. best: (metric, "min" or "max", N): the N best of each run; NaN and missing never
    count, ties go to the newest. every: steps divisible by N. ttl_s: saved less than so many seconds ago, by the
    checkpoint's own time. tagged: True alone keeps nothing but what has a tag. With none of these five no rule deletes.
    thin: patterns over dotted paths, as for select=, that are dropped from kept checkpoints older than the newest
    thin_beyond kept ones of their run (default: last, or else 1): these are what a training resumes from. Nothing that
    is to go is thinned instead, for then a store would grow without end; nothing with a tag is thinned.
    quota_bytes: after these rules the oldest go, whatever rule keeps them, until the store takes no more after a gc.
    run: only this run is touched; the quota is that of the whole store.
    Raises UsageError for a policy without any rule, and for a value that is none.
    """

    last: int | None = None
    best: Sequence[tuple[str, str, int]] = ()
    every: int | None = None
    ttl_s: float | None = None
    tagged: bool = False
    thin: Sequence[str] | str = ()
    thin_beyond: int | None = None
    quota_bytes: int | None = None
    run: str | None = None

    def __post_init__(self) -> None:
        for name in ("last", "every", "thin_beyond"):
            _check_count(name, getattr(self, name), least=1)
        _check_count("quota_bytes", self.quota_bytes, least=0)
        if self.ttl_s is not None and not _is_positive(self.ttl_s):
            raise UsageError(f"ttl_s is a number of seconds above 0, not {self.ttl_s!r:.200}")
        if self.run is not None:
            labels.check_name("run", self.run)
        object.__setattr__(self, "best", tuple(_best(rule) for rule in _items(self.best)))
        object.__setattr__(self, "thin", tuple(listed(self.thin, "thin=")))
        if self.thin_beyond is not None and not self.thin:
            raise UsageError("thin_beyond says which checkpoints thin= touches: give thin= too")
        if not (self.deletes or self.thin or self.quota_bytes is not None):
            raise UsageError("a policy without any rule: give last, best, every, ttl_s, tagged, thin or quota_bytes")

    @property
    def deletes(self) -> bool:
        """Whether what none of its rules keeps is to go."""
        return bool(self.best or self.tagged) or (self.last, self.every, self.ttl_s) != (None, None, None)

    @property
    def whole(self) -> int:
        """How many of the newest kept checkpoints of a run are never thinned."""
        return self.thin_beyond or self.last or 1


def _check_count(name: str, value: Any, least: int) -> None:
    if value is not None and (type(value) is not int or value < least):
        raise UsageError(f"{name} is a whole number from {least} on, not {value!r:.200}")


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _items(rules: Any) -> Sequence[Any]:
    if isinstance(rules, str) or not isinstance(rules, Sequence):
        raise UsageError(f'best is a list of (metric, "min" or "max", N), not {rules!r:.200}')
    return rules


def _best(rule: Any) -> tuple[str, str, int]:
    parts = tuple(rule) if isinstance(rule, tuple | list) else ()
    if len(parts) != 3 or not isinstance(parts[0], str) or not parts[0] or parts[1] not in DIRECTIONS:
        raise UsageError(f'a rule of best is (metric, "min" or "max", N), not {rule!r:.200}')
    if parts[2] is None:
        raise UsageError(f"best {parts[1]}:{parts[0]} of how many? give a whole number from 1 on")
    _check_count(f"N of best {parts[1]}:{parts[0]}", parts[2], least=1)
    return parts
