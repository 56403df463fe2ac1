"""The speed benchmark's rounds, its table, and whether each promised limit was kept."""

from __future__ import annotations

import os
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from bench import children, speed

MEMORY_LIMIT = 256 << 20


@dataclass(frozen=True, slots=True)
class Promise:
    """One measured figure against its limit."""

    what: str
    measured: float
    limit: float
    unit: str

    @property
    def kept(self) -> bool:
        """Whether the figure is within the limit."""
        return self.measured <= self.limit


def timings(gib: float, rounds: int, threads: int, scratch: Path | None) -> dict[str, list[float]]:
    """Every figure of save_seconds() and load_seconds(), one value a round, each round in new processes."""
    found: dict[str, list[float]] = {}
    n_bytes = int(gib * 2**30)
    for turn in range(rounds):
        with tempfile.TemporaryDirectory(prefix="ckstore-bench-", dir=scratch) as folder:
            saved = children.run(threads, speed.save_seconds, n_bytes, Path(folder), turn)
            loaded = children.run(threads, speed.load_seconds, n_bytes, Path(folder))
        for name, value in (saved | loaded).items():
            found.setdefault(name, []).append(value)
        os.sync()  # the removal of one round's files must not be paid by the next round
    return found


def peaks(gib: float, threads: int, scratch: Path | None) -> dict[str, int | None]:
    """Peak memory beyond the state of each operation, each in a new process."""
    with tempfile.TemporaryDirectory(prefix="ckstore-bench-", dir=scratch) as folder:
        names = ("torch.save", speed.SAVED, speed.CHANGED, speed.LOADED)
        return {name: children.run(threads, speed.memory_of, name, int(gib * 2**30), Path(folder)) for name in names}


def promises(times: dict[str, list[float]], memory: dict[str, int | None]) -> list[Promise]:
    """What the project must show, from the medians of the rounds."""
    middle = {name: statistics.median(values) for name, values in times.items()}
    found = [
        Promise("first save / torch.save", middle["ckstore first save"] / middle["torch.save"], 1.25, "x"),
        Promise("second save / torch.save", middle["ckstore second save, unchanged"] / middle["torch.save"], 0.25, "x"),
        Promise("bytes of the second save / logical bytes", 100 * middle["second save share"], 0.1, "%"),
        Promise("load / torch.load, warm", middle["ckstore load"] / middle["torch.load"], 1.5, "x"),
    ]
    peaks = {name: memory[name] for name in (speed.SAVED, speed.CHANGED, speed.LOADED)}
    limit = MEMORY_LIMIT / 2**20
    return found + [
        Promise(f"peak memory beyond the state, {k}", v / 2**20, limit, "MiB")
        for k, v in peaks.items()
        if v is not None
    ]


def timing_table(times: dict[str, list[float]], gib: float) -> Table:
    """Median and least of the rounds."""
    table = Table(
        "what", "median s", "least s", "GiB/s", title=f"{gib:g} GiB state, fsynced, {len(times['torch.save'])} rounds"
    )
    for name, values in times.items():
        if not name.endswith("share"):
            middle = statistics.median(values)
            table.add_row(name, f"{middle:.2f}", f"{min(values):.2f}", f"{gib / middle:.2f}")
    return table


def promise_table(found: list[Promise], gib: float) -> Table:
    """Each promise, measured and kept or not."""
    table = Table("promise", "measured", "limit", "kept", title=f"memory on a {gib:g} GiB state")
    for item in found:
        table.add_row(
            item.what, f"{item.measured:.3f} {item.unit}", f"{item.limit:g} {item.unit}", "yes" if item.kept else "NO"
        )
    return table


def to_dict(times: dict[str, list[float]], memory: dict[str, int | None], found: list[Promise]) -> dict[str, Any]:
    """The body of the JSON file."""
    rounded = {name: [round(value, 5) for value in values] for name, values in times.items()}
    return {"times": rounded, "peak_bytes": memory, "promises": [asdict(item) | {"kept": item.kept} for item in found]}
