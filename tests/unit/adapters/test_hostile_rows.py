"""Rows changed at random: an error of ours or a state, and never anything else."""

from __future__ import annotations

import random
from collections import OrderedDict
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from ckstore.adapters import tree
from ckstore.adapters.torch import plain
from ckstore.errors import CkError, FormatError, UsageError
from ckstore.format.records import ManifestPage, TensorRow
from ckstore.tensor import item_bytes
from unit.adapters.memory_engine import Saved, decoded, fill

pytestmark = [pytest.mark.filterwarnings("ignore")]

FLAT = torch.arange(12.0)
STATE = {
    "dense": [torch.ones(2, 3).t(), torch.nn.Parameter(torch.ones(2)), torch.zeros(3, dtype=torch.float4_e2m1fn_x2)],
    "shared": (FLAT, FLAT[2:8], FLAT),
    "numpy": {"f": np.asfortranarray(np.ones((2, 3))), "s": np.zeros(2, [("a", "u1"), ("b", ">f4")]), 1: np.array("x")},
    "sparse": [torch.eye(3).to_sparse(), torch.eye(3).to_sparse_csr()],
    "masked": np.ma.MaskedArray([1, 2], [True, False]),
    "plain": OrderedDict(a=(1, 2.0, [None]), size=torch.Size([1])),
    "long": list(range(9000)),
}
VALUES: list[Any] = [
    None, True, -1, 0, 1, 2, 3, 64, 1 << 31, -(1 << 40), 0.5, "", "a", "x:y", "float32", "dict", "list",
    "numpy.ndarray", "torch.Tensor", "bytes:4", b"", b"\x91", [], [1], ["a"], [[]], {}, {"n": 1}, {"dtype": "S"},
]  # fmt: skip


def places(raw: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something can be changed."""
    inside = list(raw.items()) if isinstance(raw, dict) else list(enumerate(raw)) if isinstance(raw, list) else []
    return [path] + [place for key, value in inside for place in places(value, (*path, key))]


def changed(raw: Any, place: tuple[Any, ...], value: Any) -> Any:
    """`raw` with something else at one place."""
    if not place:
        return value
    copy = dict(raw) if isinstance(raw, dict) else list(raw)
    copy[place[0]] = changed(raw[place[0]], place[1:], value)
    return copy


@pytest.mark.parametrize("seed", range(8))
def test_rows_changed_at_random_give_a_state_or_an_error_of_ours(seed: int) -> None:
    saved, dice = Saved(STATE), random.Random(seed)
    raw = msgspec.msgpack.decode(msgspec.msgpack.encode(ManifestPage(saved.rows, b"", b"")))
    everywhere = [place for place in places(raw) if len(place) >= 2 and place[0] == 0]
    for _ in range(60):
        mutant = raw
        for _ in range(dice.choice([1, 1, 2])):
            try:
                mutant = changed(mutant, dice.choice(everywhere), dice.choice(VALUES))
            except (KeyError, IndexError, TypeError):
                continue  # the place went away with an earlier change
        try:
            rows = decoded(msgspec.msgpack.encode(mutant))
        except (msgspec.ValidationError, msgspec.DecodeError, FormatError):
            continue
        load(rows, dice.choice(["saved", None, "cpu"]), dice.choice([None, None, "numpy"]))


def load(rows: Any, device: Any, framework: Any) -> None:
    try:
        targets = tree.destinations(rows, framework=framework, device=device, allow_pickle=True)
        for row in rows:
            if isinstance(row, TensorRow) and (target := targets.get(row.path)):
                size = item_bytes(row.dtype)
                fill(target.destination, bytes(int(np.prod(row.shape)) * size), size)
        tree.build(rows, {path: target.finish() for path, target in targets.items()}, framework=framework)
    except CkError:
        pass


@pytest.mark.parametrize("kind", ["dtype", "layout"])
def test_a_name_from_a_store_imports_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(torch, "__getattr__", lambda name: asked.append(name), raising=True)
    with pytest.raises(UsageError, match="_inductor_of_a_store"):
        plain.lift(kind, "_inductor_of_a_store")
    assert not asked
