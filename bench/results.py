"""Result files: small JSON that names everything the figures depend on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench import machine
from bench.workloads import text

FOLDER = Path(__file__).parent / "results"


def write(name: str, threads: int, body: dict[str, Any], folder: Path) -> Path:
    """Write `<name>-<date>.json` into `folder` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    about = machine.describe(threads)
    path = folder / f"{name}-{about['date']}.json"
    path.write_text(json.dumps({"about": about | {"data": text.provenance()}, **body}, indent=1) + "\n")
    return path
