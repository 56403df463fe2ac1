"""What the demo found: one record for --json, and the table of what each way of saving takes."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median
from typing import Any

from ckstore.cli.demo_plan import Plan
from ckstore.cli.demo_process import Log
from ckstore.cli.output import Column, print_table
from ckstore.cli.text import share, size

_WAYS = (("ckstore", "ckstore"), ("torch", "torch.save"), ("zstd", "torch.save + zstd -3"))
_COLUMNS = (
    Column("way"),
    Column("checkpoints", number=True),
    Column("bytes", number=True),
    Column("of logical", number=True),
    Column("save s", number=True),
    Column("load s", number=True),
)


def disk_bytes(directory: Path) -> int:
    """Sizes of all files below `directory`: counted, not asked from the store."""
    return sum(os.path.getsize(os.path.join(top, name)) for top, _, names in os.walk(directory) for name in names)


def sizes(plan: Plan, whole: Log, first: Log, second: Log, checked: Log) -> dict[str, Any]:
    """Bytes and median seconds of each way of saving the same states."""
    saved = [*first.saved, *second.saved]
    logical_bytes = {event["step"]: event["logical_bytes"] for event in saved}
    return {
        "checkpoints": len(checked.loaded),
        "steps": plan.steps,
        "logical_bytes": sum(logical_bytes.values()),
        "ckstore": {
            "bytes": disk_bytes(plan.store),
            "save_s": median(event["seconds"] for event in saved),
            "load_s": median(event["seconds"] for event in checked.loaded),
        },
        **{
            way: {
                "bytes": sum(event[f"{way}_bytes"] for event in whole.peers),
                "save_s": median(event[f"{way}_save_s"] for event in whole.peers),
                "load_s": median(event[f"{way}_load_s"] for event in whole.peers),
            }
            for way in ("torch", "zstd")
        },
    }


def print_sizes(record: dict[str, Any]) -> None:
    """The table: one row for each way of saving."""
    rows = [
        [
            title,
            str(record["checkpoints"]),
            size(record[way]["bytes"]),
            share(record[way]["bytes"], record["logical_bytes"]),
            f"{record[way]['save_s']:.3f}",
            f"{record[way]['load_s']:.3f}",
        ]
        for way, title in _WAYS
    ]
    print_table(_COLUMNS, rows)
