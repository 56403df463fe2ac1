"""The rules of a policy: why each of them keeps a checkpoint. Pure; quota and protection are choice.py's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ckstore.engine.checkpoint import dropped
from ckstore.engine.retain.policy import Keep
from ckstore.format.records import Entry

Reasons = dict[bytes, list[str]]
"""By checkpoint id, in words."""


def reasons(entries: Sequence[Entry], policy: Keep, now: float) -> Reasons:
    """Why each of `entries`, oldest first, is kept; no reason: it may go. now: seconds since 1970."""
    found: Reasons = {entry.id: [] for entry in entries}
    for entry in entries:
        if entry.tags:
            found[entry.id].append(f"tagged {' '.join(entry.tags)}")
        if not policy.deletes:
            found[entry.id].append("no rule deletes it")
        if policy.every is not None and entry.step % policy.every == 0:
            found[entry.id].append(f"every {policy.every}")
        if policy.ttl_s is not None and now - entry.time_ns / 1e9 < policy.ttl_s:
            found[entry.id].append("younger than the time to live")
    for mine in by_run(entries).values():
        for entry in mine[-policy.last :] if policy.last is not None else ():
            found[entry.id].append(f"last {policy.last}")
        for metric, direction, n in policy.best:
            for entry in _best(mine, metric, direction)[:n]:
                found[entry.id].append(f"best {n} by {direction}:{metric}")
    return found


def to_thin(entries: Sequence[Entry], policy: Keep, kept: Reasons) -> Iterator[Entry]:
    """The kept ones among `entries`, oldest first, that are to lose leaves: neither tagged nor among the newest."""
    for mine in by_run(entries).values() if policy.thin else ():
        staying = [entry for entry in mine if kept[entry.id]]
        for entry in staying[: -policy.whole]:
            if not entry.tags and not set(policy.thin) <= set(dropped(entry)):
                yield entry


def by_run(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """`entries` by run, in their order."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.run, []).append(entry)
    return found


def _best(mine: Sequence[Entry], metric: str, direction: str) -> list[Entry]:
    """Those that have the metric, best first, the newest of equals first."""
    measured = [entry for entry in reversed(mine) if not math.isnan(entry.metrics.get(metric, math.nan))]
    sign = 1 if direction == "min" else -1
    return sorted(measured, key=lambda entry: sign * entry.metrics[metric])
