"""load(select=) and load(into=): only what is asked for is read, and nothing is written before all is checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ckstore
from tests.unit.engine.states import CHUNK, assert_same, drifting


@pytest.fixture
def store(store_path: str):
    with ckstore.open(store_path, create=True, chunk_elements=CHUNK) as opened:
        yield opened


def test_into_writes_in_place_and_returns_the_same_objects(store):
    store.save(drifting(3), step=3)
    mine = drifting(0)
    arrays = dict(mine)
    result = store.load("latest", into=mine)
    assert result is mine
    assert all(mine[key] is arrays[key] for key in arrays)
    assert_same(mine, drifting(3))


def test_into_checks_everything_before_it_writes_anything(store):
    store.save(drifting(3), step=3)
    mine = drifting(0)
    mine["bias"] = np.zeros(8, "f4")
    with pytest.raises(ckstore.UsageError, match="bias"):
        store.load("latest", into=mine)
    assert np.array_equal(mine["weight"], drifting(0)["weight"])


def test_damage_met_by_into_names_what_was_overwritten(store):
    store.save({"a": drifting(0)["weight"], "b": drifting(1)["frozen"]}, step=0)
    (pack,) = Path(store.path, "pack").iterdir()
    data = bytearray(pack.read_bytes())
    data[-3000] ^= 1
    pack.write_bytes(data)
    with ckstore.open(store.path) as again, pytest.raises(ckstore.CorruptError) as caught:
        again.load("latest", into={"a": np.zeros(5000, "f4"), "b": np.zeros(5000, "f4")})
    assert set(caught.value.overwritten) <= {"a", "b"}
    assert caught.value.overwritten


def test_select_reads_only_what_it_gives(store, monkeypatch):
    store.save({"model": drifting(0), "optimizer": drifting(1)}, step=0)
    read = []
    plain = type(store._session.repo.packs).read
    monkeypatch.setattr(
        type(store._session.repo.packs), "read", lambda self, name, at, n: read.append(n) or plain(self, name, at, n)
    )
    found = store.load("latest", select=["model.frozen"])
    assert list(found) == ["model"]
    assert list(found["model"]) == ["frozen"]
    assert sum(read) < 22_000
