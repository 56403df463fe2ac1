"""What a live state must be before anything is loaded into it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from ckstore.errors import UsageError
from unit.adapters.memory_engine import Saved


class Point(NamedTuple):
    x: Any
    y: Any


def _read_only() -> Any:
    array = np.zeros(3)
    array.flags.writeable = False
    return array


MISMATCHES: list[tuple[Any, Any, str]] = [
    ({"a": np.ones(3)}, {}, "'a' is not in the state given as into="),
    ({}, {"a": np.ones(3)}, "'a' is not in the checkpoint"),
    ({"a": np.ones(3)}, {"a": np.ones(4)}, r"'a' has shape \(3,\) in the checkpoint, \(4,\) in the state"),
    ({"a": np.ones(3)}, {"a": np.ones((3, 1))}, "shape"),
    ({"a": np.ones(3)}, {"a": np.ones(3, "f4")}, "'a' is float64 in the checkpoint, float32 in the state"),
    ({"a": np.ones(3)}, {"a": np.ones(3, ">f8")}, "'a' is float64 in the checkpoint"),
    ({"a": np.zeros(3, "i8")}, {"a": np.zeros(3, "M8[s]")}, "'a' is int64 in the checkpoint, datetime64"),
    ({"a": torch.ones(3)}, {"a": torch.ones(3).half()}, "'a' is float32 in the checkpoint, float16"),
    ({"a": np.ones(3)}, {"a": 1}, "'a' is a tensor in the checkpoint, a plain value"),
    ({"a": np.ones(3)}, {"a": {}}, "'a' is a tensor in the checkpoint, a dict"),
    ({"a": np.ones(3)}, {"a": object()}, "'a' is a tensor in the checkpoint, a object"),
    ({"a": 1}, {"a": np.ones(3)}, "'a' is a plain value in the checkpoint, a numpy.ndarray"),
    ({"a": {"b": 1}}, {"a": 1}, "'a' is a dict in the checkpoint, a plain value"),
    ({"a": [np.ones(1)]}, {"a": (np.ones(1),)}, "'a' is a list in the checkpoint, a tuple"),
    ({"a": [np.ones(1)]}, {"a": [np.ones(1), 2]}, "'a' has n 1 in the checkpoint, 2"),
    ({"a": Point(np.ones(1), 1)}, {"a": (np.ones(1), 1)}, "'a' is a namedtuple in the checkpoint, a tuple"),
    ({"a": np.ones(3)}, {"a": _read_only()}, "'a' cannot be written: the array is read-only"),
    ({"a": torch.ones(2, 3)}, {"a": torch.ones(3).expand(2, 3)}, "'a' cannot be written: the tensor is expanded"),
    ({"a": torch.ones(2) * 1j}, {"a": (torch.ones(2) * 1j).conj()}, "'a' cannot be written: the tensor is a lazy"),
    ({"a": torch.eye(2).to_sparse()}, {"a": torch.eye(3).to_sparse()}, "'a' has shape"),
    ({"a": torch.eye(2).to_sparse()}, {"a": torch.eye(2)}, "'a' is a torch.sparse_coo in .*, a torch.Tensor in"),
    ({"a": torch.eye(2)}, {"a": torch.eye(2).to_sparse()}, "'a' is a tensor in the checkpoint, a torch.sparse_coo"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "target", "message"), MISMATCHES, ids=lambda part: part if isinstance(part, str) else ""
)
def test_what_does_not_fit_is_refused_before_anything_is_written(given: Any, target: Any, message: str) -> None:
    given, target = {"first": np.ones(2), **given}, {"first": np.zeros(2), **target}
    with pytest.raises(UsageError, match=message):
        Saved(given).load(into=target)
    assert target["first"].tolist() == [0, 0]


def test_the_first_differences_are_listed_and_the_others_counted() -> None:
    saved = Saved({f"w{i}": np.ones(i + 1) for i in range(9)})
    with pytest.raises(UsageError, match=r"'w0' has.*'w4' has.*; and 4 more") as caught:
        saved.load(into={f"w{i}": np.ones(20) for i in range(9)})
    assert "'w5'" not in caught.value.message
