"""verify and repair hold the rows of one checkpoint at a time, and read them again: what has gone by then is damage."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

import ckstore
from ckstore.engine.health import found, survey, verify_packs
from ckstore.engine.health import plan as planning
from ckstore.engine.health.scan import Scan
from ckstore.format.closure import Row
from ckstore.store import objects
from ckstore.store.fs import LocalFs
from ckstore.store.packs import PackReader
from ckstore.store.repository import Repository
from tests.corrupt.mended import files, golden, no_syncs, store_at
from tests.corrupt.mended import path as three
from tests.support.packs import rows_of
from tests.support.paths import fast_path
from tests.support.stores import once, save

__all__ = ["fast_path", "golden", "no_syncs", "store_at", "three"]


def spoil_a_frame(path: Path) -> None:
    """One that every checkpoint needs: of the oldest pack."""
    with ckstore.open(path, readonly=True) as store:
        row = rows_of(store, "main@0")[0]
    file = path / "pack" / row.pack.name
    data = bytearray(file.read_bytes())
    data[row.offset + row.frame_bytes - 1] ^= 1
    file.write_bytes(data)


def n_rows() -> int:
    return sum(isinstance(item, Row) for item in gc.get_objects())


@pytest.mark.parametrize("what", ["structure", "stored", "data", "repair"])
def test_rows_of_many_checkpoints_are_not_in_memory_together(what, three: Path, monkeypatch):
    with ckstore.open(three) as store:
        for step in range(3, 9):
            save(store, "main", step)
        most = max(len(rows_of(store, ck.ref)) for ck in store.checkpoints())
    spoil_a_frame(three)
    held: list[int] = []
    gc.collect()
    others = n_rows()  # what failed tests before this one hold in their tracebacks

    def counted(*args):
        held.append(n_rows() - others)
        return load(*args)

    load = survey.load_closure
    monkeypatch.setattr(survey, "load_closure", counted)
    monkeypatch.setattr(found, "load_closure", counted)
    if what == "repair":
        assert not ckstore.repair(three).ok
    else:
        with ckstore.open(three, readonly=True) as store:
            store.verify(what)
    assert len(held) >= 9
    assert max(held) <= 2 * most


@pytest.mark.parametrize("n_cached", [objects._CACHED_HEADS, 0])
def test_a_closure_that_goes_between_two_looks_is_damage(three: Path, n_cached, monkeypatch):
    monkeypatch.setattr(objects, "_CACHED_HEADS", n_cached)
    spoil_a_frame(three)
    with ckstore.open(three, readonly=True) as store:
        gone = store._resolve("main@1").closure.name
        once(verify_packs, "sizes", lambda: (three / "closure" / gone).unlink())
        damages = {damage.object: damage for damage in store.verify("stored").damages}
    (frame,) = (name for name in damages if name.startswith("pack"))
    assert set(damages) == {frame, f"closure {gone}"}
    assert damages[f"closure {gone}"].tensors == {"main@1": ["*"]}
    assert damages[frame].checkpoints == ["main@0", "main@2"]


def test_a_manifest_that_goes_before_the_losses_are_named_names_all(three: Path):
    spoil_a_frame(three)
    with ckstore.open(three, readonly=True) as store:
        gone = store._resolve("main@1").manifest.name
    once(planning, "_look_at_new_packs", lambda: (three / "manifest" / gone).unlink())
    tensors = {loss.ref: loss.tensors for loss in ckstore.repair(three).losses}
    assert tensors["main@1"] == ["*"]
    assert "*" not in tensors["main@0"] + tensors["main@2"]


def test_following_chains_reads_no_table_of_a_pack_without_them_twice(store_at: Path, monkeypatch):
    reads: list[str] = []
    table_of = PackReader.table_of

    def counted(self, name, *args):
        reads.append(name)
        return table_of(self, name, *args)

    monkeypatch.setattr(PackReader, "table_of", counted)
    with ckstore.open(store_at, readonly=True) as store:
        rows = rows_of(store, "main@2")
    scan = Scan(Repository(LocalFs(str(store_at))))
    wanted = {row.chunk_id for row in rows if row.bases}
    assert {place.chunk_id for place in scan.find(wanted)} == wanted
    n_packs = len(files(store_at, "pack"))
    assert sorted(set(reads)) == [pack.name for pack in files(store_at, "pack")]
    for _ in range(5):
        assert list(scan.find({b"nothing like it".ljust(32)})) == []
    assert len(reads) < 2 * n_packs
