"""`python -m bench speed`: save and load seconds of a big state, and the memory they take beyond it.

The state is synthetic (seeded normal weights and moments, float32), so that its size can be chosen; no two chunks of it
are equal. Everything is fsynced. Each figure stands beside a peer or a limit from the same process.
"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import torch

import ckstore
from bench import clock, disk, memory, states

SHAPE = (4096, 1024)
SAVED, CHANGED, LOADED = "ckstore save", "ckstore save, then one of deltas", "ckstore load(into=)"


def make_state(n_bytes: int, filled: bool = True) -> dict[str, Any]:
    """About `n_bytes` of weights and AdamW moments in 16 MiB tensors; not filled: ones, equally in memory."""
    generator = torch.Generator().manual_seed(9)
    model, moments = {}, {}
    for layer in range(max(1, round(n_bytes / (3 * 16 << 20)))):
        weight, first, second = (torch.ones(SHAPE) for _ in range(3))
        if filled:
            weight.normal_(std=0.02, generator=generator)
            first.normal_(std=1e-4, generator=generator)
            second.normal_(std=1e-4, generator=generator).square_()
        model[f"layers.{layer}.weight"], moments[layer] = weight, {"step": 100, "exp_avg": first, "exp_avg_sq": second}
    return {"model": model, "optimizer": {"state": moments}, "step": 100}


def save_seconds(n_bytes: int, folder: Path, turn: int) -> dict[str, float]:
    """In a child, once a round: seconds of each way to make one state durable; `turn` says which of them goes first."""
    state, found = make_state(n_bytes), dict[str, float]()
    _warm_disk(state, folder)
    found["copy in memory"] = clock.seconds(copy.deepcopy, state)
    ways = [_time_raw, _time_torch, _time_ckstore]
    for way in ways[turn % 3 :] + ways[: turn % 3]:
        memory.fill_page_cache(folder / "sparse")
        found |= way(state, folder)
    return found


def _warm_disk(state: Any, folder: Path) -> None:
    """Write and remove three times the state: on a thin disk the first write of a block is slow, whoever does it."""
    for number in range(3):
        _write_raw(state, folder / f"warm-{number}")
    for number in range(3):
        (folder / f"warm-{number}").unlink()
    os.sync()


def _time_raw(state: Any, folder: Path) -> dict[str, float]:
    return {"write and fsync of the bare bytes": clock.seconds(_write_raw, state, folder / "raw")}


def _time_torch(state: Any, folder: Path) -> dict[str, float]:
    return {"torch.save": clock.seconds(_torch_save, state, folder / "state.pt")}


def _time_ckstore(state: Any, folder: Path) -> dict[str, float]:
    """The first save into a new store, the second of the unchanged state, and the share that each added."""
    logical, where = states.logical_bytes(state), folder / "store"
    with ckstore.open(where, create=True) as store:
        first = clock.seconds(store.save, state, step=1, run="main")
        before = disk.folder_bytes(where)
        second = clock.seconds(store.save, state, step=2, run="main")
    shares = {"first save share": before / logical, "second save share": (disk.folder_bytes(where) - before) / logical}
    return {"ckstore first save": first, "ckstore second save, unchanged": second} | shares


def load_seconds(n_bytes: int, folder: Path) -> dict[str, float]:
    """In a child, after save_seconds() in another: seconds of each way to load, all from a warm page cache."""
    found: dict[str, float] = {}
    for _ in range(2):  # the first pass warms the page cache
        found["torch.load"] = clock.seconds(torch.load, folder / "state.pt", weights_only=True)
        with ckstore.open(folder / "store") as store:
            found["ckstore load"] = clock.seconds(store.load, "main@1")
        target = make_state(n_bytes, filled=False)
        with ckstore.open(folder / "store") as store:
            found["ckstore load(into=)"] = clock.seconds(store.load, "main@1", into=target)
    saved = torch.load(folder / "state.pt", weights_only=True)
    difference = states.first_difference(target, saved)
    if difference:
        raise ValueError(f"load(into=) differs at {difference}")
    return found


def memory_of(what: str, n_bytes: int, folder: Path) -> int | None:
    """In a child: the peak memory of one operation beyond what the process held before it."""
    with ckstore.open(folder / "warm-up", create=True) as store:  # so that imports are not counted
        store.load(store.save({"x": torch.ones(4096)}, step=0, run="main").id)
    state = make_state(n_bytes, filled="save" in what)
    memory.settle()
    held = memory.resident_bytes()
    with memory.Peak() as peak, ckstore.open(folder / "store", create=True) as store:
        if what == "torch.save":
            _torch_save(state, folder / "state.pt")
        elif "save" in what:
            store.save(state, step=1, run="main")
            if what == CHANGED:
                for item in states.named_tensors(state):
                    item.tensor.mul_(1.001)
                store.save(state, step=2, run="main")
        else:
            store.load("main@1", into=state)
    return peak.beyond(held)


def _torch_save(state: Any, path: Path) -> None:
    with disk.durable(path) as file:
        torch.save(state, file)


def _write_raw(state: Any, path: Path) -> None:
    with disk.durable(path) as file:
        for item in states.named_tensors(state):
            file.write(item.raw)
