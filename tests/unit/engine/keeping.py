"""What the tests of keep() share: runs with losses, damage, and short views of what is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ckstore
from tests.support.stores import save


def fill(store: ckstore.Store, *losses: float | None, run: str = "main", **how: Any) -> None:
    """A checkpoint for each loss, steps from 0 on."""
    for step, loss in enumerate(losses):
        save(store, run, step, metrics={} if loss is None else {"loss": loss}, **how)


def steps(store: ckstore.Store, run: str = "main") -> list[int]:
    return [ck.step for ck in store.checkpoints(run)]


def n_bytes(store: ckstore.Store) -> int:
    """Of all files but roots."""
    return sum(f.stat().st_size for f in Path(store.path).rglob("*") if f.is_file() and f.parent.name != "root")


def flip(store: ckstore.Store, ref: str, what: str) -> None:
    """Flip a bit of a file that only this checkpoint needs."""
    entry = store._resolve(ref)
    own = {"manifest": entry.manifest.name, "closure": entry.closure.name}
    own["pack"] = store._session.repo.objects.closure(entry.closure).packs[-1].name
    file = Path(store.path, what, own[what])
    data = bytearray(file.read_bytes())
    data[200 if what == "pack" else -40] ^= 1
    file.write_bytes(data)


def reasons(report: Any) -> dict[str, list[str]]:
    return {one.ref: one.reasons for one in report.checkpoints}
