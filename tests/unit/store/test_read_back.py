"""Nothing is committed that its own reader would refuse: records are decoded and compared before they are published."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest

from ckstore.errors import UsageError
from ckstore.format import envelope
from ckstore.format.names import CATALOG
from ckstore.format.records import EMPTY, CatalogPage, Entry, ObjectRef, Root
from ckstore.store import roots
from ckstore.store.repository import Repository
from unit.store.opened import new_repository

REF = ObjectRef("1-00000000000000aa-1", bytes(32), 1)


def entry(**fields: Any) -> Entry:
    whole = Entry(
        id=bytes(32), run="main", step=1, time_ns=0, logical_bytes=0, stored_bytes=0, manifest=REF, closure=REF,
        parent=b"", metrics={}, tags=[], meta=EMPTY, write_id=bytes(16), n_tensors=0, extra=EMPTY,
    )  # fmt: skip
    return msgspec.structs.replace(whole, **fields)


def deep(n: int) -> Any:
    value: Any = 1
    for _ in range(n):
        value = {"a": value}
    return value


BAD_MAPS: list[dict[Any, Any]] = [
    {0: "rank0"},
    {"a": msgspec.Raw(b"\xc1")},
    {"a": object()},
    {"a": 1 << 70},
    {"a": "\ud800"},
    deep(980),
    deep(100_000),
]
BAD: list[dict[str, Any]] = [
    {"meta": msgspec.Raw(b"\xc1")},
    {"metrics": {1: 2.0}},
    {"metrics": {"a": 1}},
    {"metrics": {"a": "text"}},
    {"id": b"short"},
    {"step": 1 << 64},
    {"tags": [1]},
    {"manifest": ObjectRef("../../etc", bytes(32), 1)},
]


@pytest.mark.parametrize("value", BAD_MAPS, ids=[str(n) for n in range(len(BAD_MAPS))])
def test_a_map_that_does_not_read_back_is_not_stored(value: dict[Any, Any]) -> None:
    with pytest.raises(UsageError):
        envelope.encode_map(value)


@pytest.mark.parametrize("fields", BAD, ids=[str(n) for n in range(len(BAD))])
def test_a_record_that_does_not_read_back_is_not_published(store_path: str, fields: dict[str, Any]) -> None:
    repo = new_repository(store_path)
    before = os.listdir(f"{store_path}/root")
    with repo.writer() as writer:
        with pytest.raises(UsageError, match="Root"):
            writer.commit(lambda root: msgspec.structs.replace(root, inline=[entry(**fields)]), {})
        with pytest.raises(UsageError, match="CatalogPage"):
            writer.put(CATALOG, CatalogPage([entry(**fields)]))
    assert os.listdir(f"{store_path}/root") == before
    assert os.listdir(f"{store_path}/catalog") == []
    assert Repository(repo.fs).root().number == 1


def test_a_root_larger_than_any_reader_takes_is_not_published(store_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = new_repository(store_path)
    monkeypatch.setattr(roots, "MAX_ROOT_BYTES", 4000)
    with repo.writer() as writer, pytest.raises(UsageError, match="root 2"):
        writer.commit(lambda root: msgspec.structs.replace(root, extra={"a": "x" * 4000}), {})
    assert Repository(repo.fs).root().number == 1


def test_a_root_that_this_build_could_not_open_is_not_published(store_path: str) -> None:
    repo = new_repository(store_path)
    with repo.writer() as writer, pytest.raises(UsageError, match="root 2"):
        writer.commit(lambda root: msgspec.structs.replace(root, incompatible=["future"]), {})
    assert Repository(repo.fs).root().number == 1


def test_what_is_kept_of_a_commit_is_what_was_written(store_path: str) -> None:
    repo = new_repository(store_path)
    metrics = {"a": 1.0}
    with repo.writer() as writer:
        made: Root = writer.commit(lambda root: msgspec.structs.replace(root, inline=[entry(metrics=metrics)]), {})
    metrics["b"] = 2.0
    assert made.inline[0].metrics == repo.root().inline[0].metrics == {"a": 1.0}
