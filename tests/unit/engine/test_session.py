"""A session: how many threads it has, and what becomes of work whose store is closed under it."""

from __future__ import annotations

import pytest

import ckstore
from ckstore.engine.session import thread_count


@pytest.mark.parametrize("wanted", ["0", "-1", "two", "1.5", " "])
def test_a_number_of_threads_that_is_none_is_refused(store_path, monkeypatch, wanted):
    monkeypatch.setenv("CKSTORE_THREADS", wanted)
    with pytest.raises(ckstore.UsageError, match="CKSTORE_THREADS must be a positive number"):
        ckstore.open(store_path, create=True)


@pytest.mark.parametrize(("wanted", "n"), [("1", 1), ("3", 3), ("1000", 64)])
def test_the_number_of_threads_is_what_was_asked_for_within_reason(monkeypatch, wanted, n):
    monkeypatch.setenv("CKSTORE_THREADS", wanted)
    assert thread_count() == n


def test_no_work_is_begun_once_the_store_is_closed(store_path):
    with ckstore.open(store_path, create=True) as store:
        done: list[int] = []

        def items():
            yield 1
            store.close()
            yield 2

        with pytest.raises(ckstore.UsageError, match="was closed while it was in use"):
            list(store._session.map(done.append, items(), lambda _: 0))
        assert done == [1]
        with pytest.raises(ckstore.UsageError, match="was closed while it was in use"):
            list(store._session.map(done.append, [3], lambda _: 0))
    assert done == [1]
