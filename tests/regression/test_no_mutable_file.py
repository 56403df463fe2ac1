"""No file of a store changes once it has its name, and no name is used twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import ckstore
from ckstore.engine import catalog
from ckstore.engine.gc import trim
from ckstore.store import segments
from ckstore.store.reserve import RESERVE
from tests.support.states import assert_exact
from tests.support.stores import save

Files = dict[str, tuple[int, bytes]]
"""By path: inode and bytes."""


def files(store: ckstore.Store) -> Files:
    """All but the leases, whose counters move, and the reserve, which holds nothing."""
    paths = (path for path in Path(store.path).rglob("*") if path.is_file())
    found = {path.relative_to(store.path).as_posix(): path for path in paths}
    kept = {name: path for name, path in found.items() if name != RESERVE and not name.startswith("lease/")}
    return {name: (path.stat().st_ino, path.read_bytes()) for name, path in kept.items()}


def damage(store: ckstore.Store) -> None:
    """The file of a closure is gone: for repair."""
    Path(store.path, "closure", store._resolve("main@11").closure.name).unlink()


STORY: dict[str, Callable[[ckstore.Store], object]] = {
    "tag": lambda store: store.tag("main@3", "best"),
    "annotate": lambda store: store.annotate("main@3", metrics={"loss": 1.0}, meta={"note": "good"}),
    "move a tag": lambda store: store.tag("main@4", "best", move=True),
    "untag": lambda store: store.untag("best"),
    "thin": lambda store: store.thin("main@2", drop=["model.*"]),
    "keep": lambda store: store.keep(ckstore.Keep(last=6)),
    "delete": lambda store: store.delete("other@11"),
    "gc": lambda store: store.gc(grace_s=0),
    "save again": lambda store: save(store, "other", 11),
    "damage": damage,
    "repair": lambda store: store.repair(dry_run=False),
    "verify": lambda store: store.verify("data"),
    "gc again": lambda store: store.gc(grace_s=0, max_repack_bytes=1 << 30),
}


def test_b22_no_verb_changes_a_file_that_is_there(open_store, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite: a race over the one log file that all share, so rare that it lived for fifteen years."""
    monkeypatch.setattr(segments, "MERGE_FACTOR", 3)
    monkeypatch.setattr(catalog, "INLINE_ENTRIES", 4)
    monkeypatch.setattr(trim, "KEEP_ROOTS_S", -1.0)
    monkeypatch.setattr(trim, "KEEP_ROOTS", 3)
    store = open_store()
    seen: Files = {}
    n_gone = 0
    saves = {f"save {run} {i}": lambda s, run=run, i=i: save(s, run, i) for i in range(12) for run in ("main", "other")}
    for verb, act in {**saves, **STORY}.items():
        act(store)
        now = files(store)
        assert {name for name in now if seen.get(name, now[name]) != now[name]} == set(), verb
        n_gone += len(seen.keys() - now.keys())
        seen.update(now)  # what is gone stays noted: nobody may take its name
    assert n_gone > 20
    assert_exact(store)
