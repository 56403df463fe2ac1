"""What a caller says of a checkpoint: refused at once, in words, or kept exactly as given."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import os
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ckstore
from unit.engine.states import drifting


class Mood(enum.Enum):
    GOOD = "good"


class Count(enum.IntEnum):
    ONE = 1


@dataclasses.dataclass
class Config:
    a: int = 1


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def doubling(n: int) -> Any:
    """Lists that hold each other: 2**n items in n of them."""
    value: Any = [1]
    for _ in range(n):
        value = [value, value]
    return value


ITSELF: list[Any] = []
ITSELF.append(ITSELF)

BAD_META: list[Any] = [
    {0: "rank0"},
    {1: 2, "1": 3},
    {"a": {1: 2}},
    {"a": {(1, 2): 3}},
    {"a": {None: 1}},
    {"a": {b"x": 1}},
    {"a": {float("nan"): 1}},
    {Mood.GOOD: 1},
    {"\ud800": 1},
    {"a": "\ud800"},
    {"a": 1 << 64},
    {"a": -(1 << 63) - 1},
    {"a": object()},
    {"a": {1}},
    {"a": frozenset()},
    {"a": (1, 2)},
    {"a": bytearray(b"x")},
    {"a": decimal.Decimal("0.1")},
    {"a": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)},
    {"a": [datetime.date(2024, 1, 1)]},
    {"a": Config()},
    {"a": Config},
    {"a": Mood.GOOD},
    {"a": Count.ONE},
    {"a": OrderedDict(b=1)},
    {"a": np.zeros(2)},
    {"a": np.complex64(1)},
    {"a": np.datetime64("2024-01-01")},
    {"a": 1j},
    {"a": nested(100_000)},
    {"a": nested(40)},
    {"a": doubling(60)},
    {"a": ITSELF},
    {"a": "x" * 20_000},
    [1],
    "abc",
    3,
]

BAD_METRICS: list[Any] = [
    {1: 2.0},
    {"\ud800": 1.0},
    {"a": 10**400},
    {"a": "3.5"},
    {"a": b"3.5"},
    {"a": None},
    {"a": 1j},
    {"a": [1.0]},
    {"a": np.zeros(2)},
    {"a" * 20_000: 1.0},
    [1.0],
    3,
]


@pytest.fixture
def store(store_path: str) -> Iterator[ckstore.Store]:
    with ckstore.open(store_path, create=True) as store:
        store.save(drifting(0), step=0)
        yield store


def files(store: ckstore.Store) -> set[str]:
    return {os.path.join(where, name) for where, _, names in os.walk(store.path) for name in names}


@pytest.mark.parametrize("meta", BAD_META, ids=[str(n) for n in range(len(BAD_META))])
def test_meta_that_would_not_come_back_is_refused_before_anything_is_written(store: ckstore.Store, meta: Any) -> None:
    before = files(store)
    with pytest.raises(ckstore.UsageError, match="meta"):
        store.save(drifting(1), meta=meta)
    with pytest.raises(ckstore.UsageError, match="meta"):
        store.annotate("latest", meta=meta)
    assert files(store) == before
    with ckstore.open(store.path) as again:
        assert again.checkpoints() == store.checkpoints()


@pytest.mark.parametrize("metrics", BAD_METRICS, ids=[str(n) for n in range(len(BAD_METRICS))])
def test_metrics_that_are_no_numbers_by_name_are_refused(store: ckstore.Store, metrics: Any) -> None:
    before = files(store)
    with pytest.raises(ckstore.UsageError, match="metrics"):
        store.save(drifting(1), metrics=metrics)
    with pytest.raises(ckstore.UsageError, match="metrics"):
        store.annotate("latest", metrics=metrics)
    assert files(store) == before


def test_a_refusal_names_the_key_and_the_type(store: ckstore.Store) -> None:
    with pytest.raises(ckstore.UsageError, match=r"meta\['optimizer'\]\['betas'\]\[1\] is a tuple.*list"):
        store.save(drifting(1), meta={"optimizer": {"betas": [1, (2,)]}})
    with pytest.raises(ckstore.UsageError, match=r"metrics\['loss'\].*Decimal|metrics\['loss'\].*too large"):
        store.save(drifting(1), metrics={"loss": 10**400})
    with pytest.raises(ckstore.UsageError, match=r"meta\['config'\] has the key 0, which is an int"):
        store.save(drifting(1), meta={"config": {0: 1}})


def test_meta_and_metrics_come_back_as_they_were_given(store: ckstore.Store) -> None:
    meta = {
        "none": None, "yes": True, "least": -(1 << 63), "most": (1 << 64) - 1, "f": 0.1, "t": "é", "b": b"\0",
        "list": [1, [2.5, {"x": []}]], "": {"deep": nested(20)}, "inf": float("inf"),
    }  # fmt: skip
    metrics = {"loss": 1, "nan": float("nan"), "np": np.float32(0.5), "": -0.0}
    store.save(drifting(1), meta=meta, metrics=metrics)
    with ckstore.open(store.path) as again:
        found = again.checkpoint("latest")
    assert found.meta == meta
    assert list(found.meta) == list(meta)
    assert {key: type(value) for key, value in found.meta.items()} == {key: type(value) for key, value in meta.items()}
    assert found.metrics["loss"] == 1.0
    assert found.metrics["np"] == 0.5
    assert np.isnan(found.metrics["nan"])


def test_numpy_scalars_become_the_numbers_they_are(store: ckstore.Store) -> None:
    meta = {"i": np.int64(3), "f": np.float64(0.1), "h": np.float32(0.5), "b": np.bool_(True), "t": np.str_("x")}
    saved = store.save(drifting(1), meta={**meta, "list": [np.uint8(7)]}, step=np.int64(5))
    assert saved.meta == {"i": 3, "f": 0.1, "h": 0.5, "b": True, "t": "x", "list": [7]}
    assert [type(value) for value in saved.meta.values()] == [int, float, float, bool, str, list]
    assert (saved.step, type(saved.step)) == (5, int)


def test_a_torch_scalar_is_a_metric(store: ckstore.Store) -> None:
    torch = pytest.importorskip("torch")
    assert store.save(drifting(1), metrics={"loss": torch.tensor(0.5)}).metrics == {"loss": 0.5}
    with pytest.raises(ckstore.UsageError, match=r"metrics\['loss'\]"):
        store.save(drifting(1), metrics={"loss": torch.empty((), device="meta")})


@pytest.mark.parametrize("tags", [None, "abc", b"abc", 3, [None], [3], ["a b"], ["latest"], [["a"]]], ids=str)
def test_tags_that_are_no_list_of_names_are_refused(store: ckstore.Store, tags: Any) -> None:
    before = files(store)
    with pytest.raises(ckstore.UsageError, match="tag"):
        store.save(drifting(1), tags=tags)
    assert files(store) == before


@pytest.mark.parametrize("step", [1.0, "1", None.__class__, True, 1 << 63, -(1 << 63) - 1], ids=str)
def test_a_step_that_is_no_integer_is_refused(store: ckstore.Store, step: Any) -> None:
    with pytest.raises(ckstore.UsageError, match="step"):
        store.save(drifting(1), step=step)


def test_there_is_no_step_after_the_last_one(store: ckstore.Store) -> None:
    store.save(drifting(1), step=(1 << 63) - 1)
    with pytest.raises(ckstore.UsageError, match="step"):
        store.save(drifting(2))


def test_a_tag_given_twice_is_one_tag(store: ckstore.Store) -> None:
    assert store.save(drifting(1), tags=["good", "good"]).tags == ["good"]


def test_a_taken_tag_is_refused_before_anything_is_written(store: ckstore.Store) -> None:
    store.tag("latest", "best")
    before = files(store)
    with pytest.raises(ckstore.ConflictError, match="best"):
        store.save(drifting(1), tags=["best"])
    assert files(store) == before


def test_a_tag_that_is_taken_meanwhile_is_refused_too(store: ckstore.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from ckstore.engine import save

    put, done = save._put, []

    def slow_put(*args: Any) -> Any:
        done.append(store.tag("main@0", "best"))
        return put(*args)

    monkeypatch.setattr(save, "_put", slow_put)
    with pytest.raises(ckstore.ConflictError, match="best"):
        store.save(drifting(1), tags=["best"])
    assert done


def test_a_bad_parent_is_refused_before_anything_is_written(store: ckstore.Store) -> None:
    before = files(store)
    for parent in (3, "", b"latest", "nobody"):
        with pytest.raises(ckstore.CkError):
            store.save(drifting(1), parent=parent)
    assert files(store) == before
