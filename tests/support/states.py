"""Small states that anybody can compute again from a run's name and a step, and what a store must hold of them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

import ckstore
from ckstore.engine import reach
from ckstore.format.names import DIRECTORY
from ckstore.store.reserve import RESERVE

CHUNK = 1024

Key = tuple[str, int]
"""(run, step)"""


@cache
def state_of(run: str, step: int) -> dict[str, Any]:
    """Several chunks that drift from step to step, a copy in bfloat16, some that stay, and plain values."""
    rng = np.random.default_rng(zlib.crc32(run.encode()))
    weight = rng.normal(size=2100).astype("f4") * np.float32(1 + 1e-4 * step)
    return {
        "model": {"weight": weight, "half": weight.astype(ml_dtypes.bfloat16)},
        "shared": np.random.default_rng(0).normal(size=1100).astype("f4"),
        "bias": np.full(7, step, "f4"),
        "sometimes": np.random.default_rng(step // 3).integers(0, 255, 5000).astype("u1"),
        "run": run,
        "step": step,
    }


def left_of(state: dict[str, Any], drop: Sequence[str], above: str = "") -> dict[str, Any]:
    """A state of dicts without the leaves whose dotted path matches, and without dicts that held nothing else."""
    left: dict[str, Any] = {}
    for key, value in state.items():
        if isinstance(value, dict):
            value = left_of(value, drop, f"{above}{key}.")
        if value != {} if isinstance(value, dict) else not any(fnmatch(f"{above}{key}", pattern) for pattern in drop):
            left[key] = value
    return left


def assert_same(found: Any, expected: Any, where: str = "state") -> None:
    """Equal trees: types, dtypes, shapes and bytes."""
    assert type(found) is type(expected), where
    if isinstance(expected, dict):
        assert list(found) == list(expected), where
        for key in expected:
            assert_same(found[key], expected[key], f"{where}.{key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), where
        for i, item in enumerate(expected):
            assert_same(found[i], item, f"{where}.{i}")
    elif isinstance(expected, np.ndarray):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape), where
        assert found.tobytes() == expected.tobytes(), where
    else:
        assert found == expected, where


def keys(store: ckstore.Store) -> list[Key]:
    """The checkpoints of a store, in commit order."""
    return [(ck.run, ck.step) for ck in store.checkpoints()]


def assert_exact(store: ckstore.Store) -> None:
    """Every checkpoint there is loads as it was saved, but for what was thinned out of it."""
    for ck in store.checkpoints():
        assert_same(store.load(ck), left_of(state_of(ck.run, ck.step), ck.dropped), ck.ref)


def strays(store: ckstore.Store) -> set[str]:
    """Files that the newest root does not need, other than older roots and the reserve."""
    repo = store._session.repo
    needed = {f"{DIRECTORY[kind]}/{name}" for kind, name in reach.of_root(repo, repo.root())}
    there = {path.relative_to(store.path).as_posix() for path in Path(store.path).rglob("*") if path.is_file()}
    return {name for name in there if not name.startswith("root/")} - needed - {RESERVE}


def assert_whole_and_tidy(store: ckstore.Store) -> None:
    """Nothing is damaged; after a gc nothing stray is on disk, and everything still loads."""
    before = keys(store)
    assert_exact(store)
    report = store.verify(level="data")
    assert report.ok, report.damages
    store.gc(grace_s=0)
    left = strays(store)
    assert left == set(), f"stray: {sorted(left)}"
    assert keys(store) == before
    assert_exact(store)
