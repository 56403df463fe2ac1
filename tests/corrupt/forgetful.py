"""A store of small states and small pages, most of whose roots a gc trims, so that little tells of what is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ckstore
from ckstore.engine import catalog
from ckstore.engine.gc import trim
from ckstore.format import manifest
from tests.support.states import CHUNK

FROZEN = {f"frozen{i}": np.arange(CHUNK, dtype="f4") + i for i in range(6)}
"""Of two states with these the second shares pages of the manifest of the first."""


def state(n: int, **more: Any) -> dict[str, Any]:
    return {**more, "z": np.full(2 * CHUNK, n, "f4")}


@pytest.fixture
def store_at(fast_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new store with small pages, most of whose roots the next gc trims."""
    monkeypatch.setattr(manifest, "ROWS_PER_PAGE", 3)
    monkeypatch.setattr(catalog, "INLINE_ENTRIES", 8)
    monkeypatch.setattr(catalog, "PAGE_ENTRIES", 8)
    monkeypatch.setattr(trim, "KEEP_ROOTS", 3)
    monkeypatch.setattr(trim, "KEEP_ROOTS_S", 0.0)
    ckstore.open(fast_path / "store", create=True, chunk_elements=CHUNK).close()
    return fast_path / "store"


def forget(store: ckstore.Store) -> None:
    """Trim the roots that tell of what is in pages by now."""
    for n in range(4):
        store.gc(grace_s=0)
        for name in "tuv":
            store.tag("latest", f"{name}{n}")
    store.gc(grace_s=0)


def pages(store: ckstore.Store) -> list[Path]:
    """Of the catalog, oldest first."""
    return [Path(store.path, "catalog", ref.page.name) for ref in store._session.repo.root().catalog]
