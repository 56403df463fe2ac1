"""`python -m bench storage`: what each peer needs to keep real training runs, in bytes, seconds and memory."""

from __future__ import annotations

import functools
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import cache, children, clock, disk, memory, states
from bench.peers import PEERS
from bench.workloads.common import Checkpoint


@dataclass(frozen=True, slots=True)
class Cell:
    """One peer on one workload."""

    workload: str
    peer: str
    logical_bytes: int
    cumulative_bytes: list[int]
    """Sizes of all files after each checkpoint."""
    save_s: list[float]
    load_s: list[float]
    """Seconds to load each checkpoint; for a chain walked from the first on, the seconds of one more step."""
    load_latest_s: float
    """Seconds to load the newest checkpoint in a new process."""
    save_peak_bytes: int | None
    """Most memory beyond the state during a save; what the peer keeps between saves is in it."""
    load_peak_bytes: int | None
    difference: str | None
    """Where a loaded state first differed from the saved one; None = every checkpoint came back bit for bit."""

    @property
    def stored_bytes(self) -> int:
        """After the last checkpoint."""
        return self.cumulative_bytes[-1]

    @property
    def share(self) -> float:
        """Stored bytes over logical tensor bytes of all checkpoints."""
        return self.stored_bytes / self.logical_bytes

    def to_dict(self) -> dict[str, Any]:
        """All fields, and the figures of the table."""
        summary = {
            "share": round(self.share, 5),
            "save_sum_s": sum(self.save_s),
            "save_median_s": statistics.median(self.save_s),
        }
        return _rounded(asdict(self) | {"stored_bytes": self.stored_bytes, **summary, "exact": self.difference is None})


def measure(workload: str, peer: str, size: str, threads: int, scratch: Path | None) -> Cell:
    """Save all checkpoints in one new process and load them in another. scratch: where the stores lie meanwhile."""
    items = children.run(threads, cache.prepare, workload, size)
    with tempfile.TemporaryDirectory(prefix="ckstore-bench-", dir=scratch) as folder:
        saved = children.run(threads, save_all, peer, items, Path(folder), threads)
        loaded = children.run(threads, load_all, peer, items, Path(folder), threads)
    return Cell(workload, peer, sum(item.logical_bytes for item in items), **saved, **loaded)


def save_all(peer_name: str, items: list[cache.Cached], folder: Path, threads: int) -> dict[str, Any]:
    """In a child: the first half of a Cell."""
    peer = PEERS[peer_name](folder / "store", folder / "scratch", threads)
    memory.settle()
    idle, peaks, seconds, cumulative = memory.resident_bytes(), [], [], []
    for number, item in enumerate(items):
        checkpoint = Checkpoint(item.run, item.step, item.load(), item.parent)
        peer.prepare(checkpoint, number)
        with memory.Peak() as peak:
            seconds.append(clock.seconds(peer.save, checkpoint, number))
        peaks.append(peer.helper_peak_bytes or peak.beyond(_plus(idle, item.logical_bytes)))
        cumulative.append(disk.folder_bytes(peer.folder))
        del checkpoint  # before the next one is read: two states at once would hide a peak
    peer.close()
    return {"save_s": seconds, "cumulative_bytes": cumulative, "save_peak_bytes": _most(peaks)}


def load_all(peer_name: str, items: list[cache.Cached], folder: Path, threads: int) -> dict[str, Any]:
    """In another child: the newest checkpoint with a clock on it, then every one, compared bit for bit."""
    make = functools.partial(PEERS[peer_name], folder / "store", folder / "scratch", threads)
    peer, last = make(), len(items) - 1
    memory.settle()
    idle = memory.resident_bytes()
    with memory.Peak() as peak:
        state, latest_s = clock.timed(peer.load, last)
    found = [peer.helper_peak_bytes or peak.beyond(_plus(idle, items[last].logical_bytes))]
    difference = states.first_difference(state, items[last].load(), f"checkpoint {last}")
    peer, seconds = make(), []
    for number, item in enumerate(items):
        state, took = clock.timed(peer.load, number)
        seconds.append(took)
        difference = difference or states.first_difference(state, item.load(), f"checkpoint {number}")
    if hasattr(peer, "load_otherwise"):
        difference = difference or peer.load_otherwise(last, items[last].load())
    return {"load_s": seconds, "load_latest_s": latest_s, "load_peak_bytes": _most(found), "difference": difference}


def _plus(idle: int | None, state_bytes: int) -> int | None:
    return None if idle is None else idle + state_bytes


def _most(values: list[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
