"""Checkpoints of workloads on disk: trained once, then read one at a time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from bench import states, workloads
from bench.workloads import common

FOLDER = Path(__file__).parent / ".cache"


@dataclass(frozen=True, slots=True)
class Cached:
    """One checkpoint of a workload; load() reads its state."""

    run: str
    step: int
    parent: str
    logical_bytes: int
    path: str

    def load(self) -> Any:
        """The state, in new memory."""
        return torch.load(self.path, weights_only=False)  # our own file: it holds NumPy and Python RNG states


def prepare(name: str, size: str) -> list[Cached]:
    """All checkpoints of a workload, trained now if they are not on disk. Call it in a process of its own."""
    folder = FOLDER / f"{name}-{size}-{_key(name)}"
    index = folder / "index.json"
    if not index.exists():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        found = [asdict(item) for item in _train(name, size, partial)]
        (partial / "index.json").write_text(json.dumps(found))
        if not folder.exists():
            partial.rename(folder)
    return [Cached(**{**row, "path": str(folder / row["path"])}) for row in json.loads(index.read_text())]


def _train(name: str, size: str, folder: Path) -> list[Cached]:
    start, found = time.perf_counter(), []
    for number, item in enumerate(workloads.ALL[name].checkpoints(common.SIZES[size])):
        torch.save(item.state, folder / f"{number:03}.pt")
        found.append(Cached(item.run, item.step, item.parent, states.logical_bytes(item.state), f"{number:03}.pt"))
    print(f"trained {name} ({size}): {len(found)} checkpoints in {time.perf_counter() - start:.0f} s", flush=True)
    return found


def _key(name: str) -> str:
    """Changes with the source of the workload and all it builds on, and with torch: no old cache passes for new."""
    digest = hashlib.sha256(torch.__version__.encode())
    for part in ("common", "text", "gpt", "gpt_bf16", name):
        digest.update((Path(workloads.__file__).parent / f"{part}.py").read_bytes())
    return digest.hexdigest()[:10]
