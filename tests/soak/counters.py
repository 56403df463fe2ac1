"""What all soaks so far have done, added up in a file, and the seeds that have not been used yet.

CKSTORE_SOAK_COUNTERS names another file. A soak that is cut off has counted all rounds that it finished.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COUNTERS = Path(os.environ.get("CKSTORE_SOAK_COUNTERS", Path(__file__).with_name("counters.json")))
ORDER = (
    "crash images", "second crashes", "kills", "stops", "power cuts", "full disks", "refused calls", "damaged files",
    "fuzz inputs", "commits", "gc runs", "findings",
)  # fmt: skip
"""What is counted, in the order in which README quotes it."""


def load(path: Path = COUNTERS) -> dict[str, Any]:
    """{"counters": …, "next_seed": …}."""
    if not path.exists():
        return {"counters": dict.fromkeys(ORDER, 0), "next_seed": {}}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@contextmanager
def _changed(path: Path) -> Iterator[dict[str, Any]]:
    """The content, written back at the end; one process at a time."""
    fd = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        content = load(path)
        yield content
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)
    finally:
        os.close(fd)


def claim(job: str, path: Path = COUNTERS) -> int:
    """A seed that no round of this job has had."""
    with _changed(path) as content:
        seed: int = content["next_seed"].get(job, 1)
        content["next_seed"][job] = seed + 1
    return seed


def add(more: Mapping[str, int], path: Path = COUNTERS) -> None:
    """Add what a round has done; what ORDER does not name is not counted."""
    with _changed(path) as content:
        total = Counter(content["counters"])
        total.update({name: n for name, n in more.items() if name in ORDER})
        content["counters"] = {name: total[name] for name in ORDER}


def sentence(counters: Mapping[str, int]) -> str:
    """As README quotes it."""
    return ", ".join(f"{counters[name]:,} {name}" for name in ORDER)
