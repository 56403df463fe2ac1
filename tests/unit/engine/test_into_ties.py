"""load(into=) a state whose tensors are one: only where the checkpoint has one value for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ckstore

N = 3000
A, B = np.arange(N, dtype="f4"), -np.arange(N, dtype="f4")


@pytest.fixture
def store(store_path: str) -> Iterator[ckstore.Store]:
    with ckstore.open(store_path, create=True, chunk_elements=1024) as store:
        yield store


def test_one_live_array_does_not_take_two_values(store: ckstore.Store) -> None:
    store.save({"a": A, "b": B})
    live = np.full(N, 7, "f4")
    with pytest.raises(ckstore.UsageError, match=r"'b'.*'a'") as caught:
        store.load(into={"a": live, "b": live})
    assert "nothing was written" in str(caught.value)
    assert (live == 7).all()


def test_small_live_arrays_do_not_either(store: ckstore.Store) -> None:
    store.save({"a": A[:4], "b": B[:4].copy()})
    live = np.full(4, 7, "f4")
    with pytest.raises(ckstore.UsageError, match=r"'b'.*'a'"):
        store.load(into={"a": live, "b": live})
    assert (live == 7).all()


def test_overlapping_live_arrays_do_not_either(store: ckstore.Store) -> None:
    store.save({"a": A.copy(), "b": A.copy()})
    live = np.full(N + 1, 7, "f4")
    with pytest.raises(ckstore.UsageError, match=r"'b'.*'a'"):
        store.load(into={"a": live[1:], "b": live[:-1]})
    assert (live == 7).all()


@pytest.mark.parametrize("n", [4, N])
def test_one_live_array_takes_equal_values(store: ckstore.Store, n: int) -> None:
    store.save({"a": A[:n].copy(), "b": A[:n].copy()})
    live = np.zeros(n, "f4")
    store.load(into={"a": live, "b": live})
    assert live.tobytes() == A[:n].tobytes()


def test_what_was_one_fills_what_is_one_and_what_is_two(store: ckstore.Store) -> None:
    store.save({"a": A, "b": A})
    live = np.zeros(N, "f4")
    store.load(into={"a": live, "b": live})
    apart: Any = {"a": np.zeros(N, "f4"), "b": np.zeros(N, "f4")}
    store.load(into=apart)
    assert live.tobytes() == apart["a"].tobytes() == apart["b"].tobytes() == A.tobytes()


@pytest.mark.parametrize("select", [None, ["a", "b"], ["b", "c"]], ids=str)
def test_views_of_one_buffer_fill_such_views(store: ckstore.Store, select: Any) -> None:
    store.save({"a": A[:2000], "b": A[1000:], "c": A[1500:2500]})
    buffer = np.zeros(N, "f4")
    store.load(into={"a": buffer[:2000], "b": buffer[1000:], "c": buffer[1500:2500]}, select=select)
    start = 0 if select != ["b", "c"] else 1000
    assert buffer[start:].tobytes() == A[start:].tobytes()
    with pytest.raises(ckstore.UsageError, match="memory"):
        store.load(into={"a": buffer[:2000], "b": buffer[1000:], "c": buffer[1200:2200]})


def test_thin_views_of_a_large_buffer_go_back_where_they_were(store: ckstore.Store) -> None:
    big = np.arange(1 << 20, dtype="f4")
    state = {"a": big[:: 1 << 10], "b": big[:: 1 << 11]}  # they overlap, and are not worth the buffer
    store.save(state)
    store.load(into=state)
    assert big.tobytes() == np.arange(1 << 20, dtype="f4").tobytes()


def test_a_selected_part_of_tied_live_arrays_is_written(store: ckstore.Store) -> None:
    store.save({"a": A, "b": B})
    live = np.zeros(N, "f4")
    store.load(into={"a": live, "b": live}, select="b")
    assert live.tobytes() == B.tobytes()
