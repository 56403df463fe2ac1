"""Dict keys of every kind over tensors, in one process and from one process to the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ckstore
from ckstore.errors import FormatError
from ckstore.format import manifest
from ckstore.format.records import ManifestPage, NodeRow

WEIGHT = np.random.default_rng(0).normal(size=3000).astype("f4")
KEYS: list[Any] = [
    ("layer", 1), ("layer", (1, 2)), (((),),), (), 3, True, None, 1.5, b"x", "a.b", (b"x", None, 2.0, False),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_state_comes_back_and_is_a_parent_in_every_process(store_path: str, key: Any) -> None:
    state = {key: WEIGHT, "small": {key: np.ones(3, "f4")}}
    with ckstore.open(store_path, create=True, chunk_elements=1024) as store:
        store.save(state)
        assert_same(store.load(), state)
        first = sum(path.stat().st_size for path in Path(store_path, "pack").iterdir())
    with ckstore.open(store_path) as store:  # nothing of the first session is remembered
        assert_same(store.load(), state)
        store.save({key: WEIGHT + np.float32(1e-4), "small": {key: np.ones(3, "f4")}})
        store.save(state)
        assert store.checkpoint("latest").parent == store.checkpoint("main@1").id
        deltas = sum(path.stat().st_size for path in Path(store_path, "pack").iterdir()) - first
        assert deltas < first  # a delta against the tensor at this path
    with ckstore.open(store_path) as store:
        live = {key: np.zeros(3000, "f4"), "small": {key: np.zeros(3, "f4")}}
        store.load("main@0", into=live)
        assert_same(live, state)
        assert all(leaf.path for leaf in store.leaves("latest"))
        assert list(store.load(select="small.*")) == ["small"]


def assert_same(found: Any, expected: Any) -> None:
    assert list(map(repr, found)) == list(map(repr, expected))
    for key, value in expected.items():
        if isinstance(value, dict):
            assert_same(found[key], value)
        else:
            assert found[key].tobytes() == value.tobytes()


def test_a_key_nested_without_end_is_a_format_error() -> None:
    key: Any = ["x"]
    for _ in range(50):
        key = [key]
    page = ManifestPage([NodeRow((key,), "dict", {})], b"", b"")
    with pytest.raises(FormatError, match="key of its path"):
        manifest.from_pages([page], "manifest x", 1024)


@pytest.mark.parametrize("key", [{}, {"a": 1}, [{}], [[object()]]], ids=["map", "map of one", "map in array", "object"])
def test_a_key_of_no_known_type_is_a_format_error(key: Any) -> None:
    page = ManifestPage([NodeRow((key,), "dict", {})], b"", b"")
    with pytest.raises(FormatError, match="key of its path"):
        manifest.from_pages([page], "manifest x", 1024)


def test_arrays_in_a_path_are_tuples() -> None:
    page = ManifestPage([NodeRow(("a", ["b", [1, []]]), "dict", {})], b"", b"")
    [(row, _)] = manifest.from_pages([page], "manifest x", 1024)
    assert row.path == ("a", ("b", (1, ())))
