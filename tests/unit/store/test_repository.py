"""Making and opening a store: one root 1, whoever wins; settings that could not be read back are refused."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ckstore
from ckstore.errors import StoreNotFound, UsageError
from ckstore.format.frame import MAX_DEPTH
from ckstore.format.names import DIRECTORY
from ckstore.store.fs import LocalFs
from ckstore.store.repository import Repository, initialize
from ckstore.store.settings import Settings
from tests.unit.store.opened import new_repository


def tree(path: str) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(Path(path).rglob("*")) if file.is_file()}


def test_a_new_store_has_all_directories_and_one_root(store_path: str) -> None:
    repo = new_repository(store_path)
    assert sorted(os.listdir(store_path)) == sorted([*DIRECTORY.values(), "lease", "tmp"])
    assert {Path(path).parent.name for path in tree(store_path)} == {"root"}
    root = repo.root()
    assert (root.number, root.previous, root.chunk_elements) == (1, b"", 1 << 18)


def test_two_stores_have_nothing_in_common(tmp_path: Path) -> None:
    one, two = (new_repository(str(tmp_path / name)) for name in "ab")
    assert one.uuid != two.uuid
    assert one.root().hash_seed != two.root().hash_seed
    assert one.root().write_id != two.root().write_id


def test_of_many_who_make_a_store_at_once_one_does_and_all_open_it(store_path: str) -> None:
    start = threading.Barrier(8)

    def make(_: int) -> tuple[bool, bytes]:
        fs = LocalFs(store_path)
        start.wait()
        made = initialize(fs, Settings())
        return made, Repository(fs).uuid

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(make, range(8)))
    assert [made for made, _ in results].count(True) == 1
    assert len({uuid for _, uuid in results}) == 1
    assert LocalFs(store_path).names("tmp") == []


def test_a_store_that_is_there_is_left_as_it_is(store_path: str) -> None:
    new_repository(store_path)
    before = tree(store_path)
    assert not initialize(LocalFs(store_path), Settings(chunk_elements=1024))
    with ckstore.open(store_path, create=True) as store:
        assert store.stats().root_number == 1
    assert tree(store_path) == before


def test_a_store_whose_making_was_cut_short_is_finished_by_the_next(store_path: str) -> None:
    for directory in ("root", "pack", "tmp"):
        (Path(store_path) / directory).mkdir(parents=True)
    with pytest.raises(StoreNotFound):
        ckstore.open(store_path)
    with ckstore.open(store_path, create=True) as store:
        store.save({"a": 1})
        assert store.load() == {"a": 1}


@pytest.mark.parametrize(
    "settings",
    [
        {"chunk_elements": 1023},
        {"chunk_elements": (1 << 20) + 1},
        {"chain_frames": 0},
        {"chain_frames": MAX_DEPTH},
        {"chain_frames": 10**6},
        {"chain_cost_milli": -1},
        {"chain_cost_milli": 1 << 63},
    ],
)
def test_settings_under_which_checkpoints_could_not_be_read_are_refused(
    store_path: str, settings: dict[str, int]
) -> None:
    with pytest.raises(UsageError, match=next(iter(settings))):
        ckstore.open(store_path, create=True, **settings)
    assert not os.path.exists(store_path)


def test_a_chain_as_long_as_settings_allow_is_still_read(store_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for sync in ("sync_file", "sync_dir"):  # nothing here is about durability
        monkeypatch.setattr(LocalFs, sync, lambda *_: None)
    settings = {"chunk_elements": 1024, "chain_frames": MAX_DEPTH // 2, "chain_cost_milli": 10**9}
    with ckstore.open(store_path, create=True, **settings) as store:
        data = bytearray(os.urandom(9000))
        for step in range(MAX_DEPTH + 10):
            data[step] ^= 1
            store.save({"data": bytes(data), "more": bytes(20_000) + bytes(data)}, step=step)
        with ckstore.open(store_path) as other:
            assert other.load()["data"] == bytes(data)
            assert other.verify().ok
        assert max(leaf.max_chain for leaf in store.leaves("latest")) <= MAX_DEPTH // 2


def test_a_read_only_store_changes_nothing_and_says_why(store_path: str) -> None:
    with ckstore.open(store_path, create=True) as store:
        store.save({"a": 1}, tags=["good"])
    before = tree(store_path)
    with ckstore.open(store_path, readonly=True) as store:
        assert store.load("good") == {"a": 1}
        assert store.verify("data").ok
        store.stats()
        store.gc(dry_run=True)
        for use in (lambda: store.save({}), lambda: store.tag("good", "best"), lambda: store.delete("good"), store.gc):
            with pytest.raises(UsageError, match="readonly"):
                use()
    assert tree(store_path) == before


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreNotFound):
        ckstore.open(tmp_path / "file")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "root").write_bytes(b"")
    with pytest.raises(StoreNotFound):
        ckstore.open(tmp_path / "dir")
