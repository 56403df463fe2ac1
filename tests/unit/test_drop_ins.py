"""ckstore.torch and ckstore.numpy in the place of torch.save/load and numpy.save/savez/load."""

from __future__ import annotations

import inspect
import io
import pickle
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ckstore
import ckstore.numpy
import ckstore.torch
from ckstore.errors import RefNotFound, StoreNotFound, UsageError
from unit.adapters.sameness import assert_same


def names(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if not name.startswith("_")]


def test_the_argument_names_are_those_of_torch_and_numpy() -> None:
    assert names(ckstore.torch.save)[:4] == names(torch.save)
    ours = names(ckstore.torch.load)
    assert ours[:5] + ours[-1:] == names(torch.load)
    assert names(ckstore.numpy.load) == names(np.load)
    assert names(ckstore.numpy.save) == names(np.save)
    assert names(ckstore.numpy.savez) == names(ckstore.numpy.savez_compressed) == names(np.savez)


def test_a_training_state_is_saved_and_loaded_by_torch_names(store_path: str) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "rng": torch.get_rng_state()}
    ckstore.torch.save(state, store_path)
    assert_same(state, ckstore.torch.load(store_path))
    assert_same(state, ckstore.torch.load(Path(store_path), map_location="cpu", weights_only=True, mmap=True))


def test_saving_again_keeps_what_was_there_and_loads_the_newest(store_path: str) -> None:
    first = ckstore.torch.save({"x": torch.zeros(2)}, store_path)
    ckstore.torch.save({"x": torch.ones(2)}, store_path)
    assert ckstore.torch.load(store_path)["x"].tolist() == [1, 1]
    assert ckstore.torch.load(f"{store_path}::{first.id}")["x"].tolist() == [0, 0]


def test_a_place_in_the_store_follows_two_colons(store_path: str) -> None:
    ckstore.torch.save({"x": 1}, f"{store_path}::lora@7")
    ckstore.torch.save({"x": 2}, f"{store_path}::lora", metrics={"loss": 0.5}, tags=["good"])
    ckstore.torch.save({"x": 3}, store_path, run="other", step=4)
    assert ckstore.torch.load(f"{store_path}::lora@7") == {"x": 1}
    assert ckstore.torch.load(f"{store_path}::lora@8") == {"x": 2}
    assert ckstore.torch.load(f"{store_path}::lora@min:loss") == {"x": 2}
    assert ckstore.torch.load(f"{store_path}::good") == {"x": 2}
    assert ckstore.torch.load(f"{store_path}::other@4") == {"x": 3}
    with pytest.raises(RefNotFound):
        ckstore.torch.load(f"{store_path}::lora@99")
    with pytest.raises(UsageError, match="RUN@STEP"):
        ckstore.torch.save({"x": 1}, f"{store_path}::lora@best")


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    torch.save({"x": 1}, file)
    for call in (ckstore.torch.load, ckstore.numpy.load, lambda path: ckstore.torch.save({}, path)):
        with pytest.raises(UsageError, match="is a file"):
            call(file)
        with pytest.raises(UsageError, match="BytesIO"):
            call(io.BytesIO())
    with pytest.raises(UsageError, match="bytes"):
        ckstore.numpy.load(PathOfBytes())
    with pytest.raises(StoreNotFound):
        ckstore.torch.load(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


class PathOfBytes:
    def __fspath__(self) -> bytes:
        return b"store"


def test_pickle_needs_a_word_on_both_sides(store_path: str) -> None:
    state = {"queue": deque("abca"), "x": torch.ones(1)}
    with pytest.raises(UsageError, match=r"'queue' \(collections.deque\)"):
        ckstore.torch.save(state, store_path)
    ckstore.torch.save(state, store_path, pickle_module=pickle)
    for refused in ({}, {"weights_only": True}):
        with pytest.raises(UsageError, match="'queue' was saved by pickle"):
            ckstore.torch.load(store_path, **refused)
    assert ckstore.torch.load(store_path, weights_only=False)["queue"] == deque("abca")
    assert ckstore.torch.load(store_path, pickle_module=pickle)["queue"] == deque("abca")
    assert ckstore.torch.load(store_path, select=["x"])["x"].tolist() == [1]
    with pytest.raises(UsageError, match="weights_only=True"):
        ckstore.torch.load(store_path, pickle_module=pickle, weights_only=True)
    with pytest.raises(UsageError, match="own pickle"):
        ckstore.torch.save(state, store_path, pickle_module=io)
    with pytest.raises(UsageError, match="encoding"):
        ckstore.torch.load(store_path, encoding="latin1")


def test_every_form_of_map_location_is_understood(store_path: str) -> None:
    ckstore.torch.save({"x": torch.ones(2)}, store_path)
    forms: list[Any] = [
        None, "cpu", torch.device("cpu"), {"cpu": "cpu"}, {"cuda:0": "cpu"}, lambda storage, place: storage,
        lambda storage, place: None,
    ]  # fmt: skip
    for form in forms:
        assert ckstore.torch.load(store_path, map_location=form)["x"].tolist() == [1, 1]
    assert ckstore.torch.load(store_path, map_location="meta")["x"].is_meta
    assert ckstore.torch.load(store_path, map_location={"cpu": "meta"})["x"].is_meta


def test_a_state_is_loaded_into(store_path: str) -> None:
    target = {"x": torch.zeros(2), "n": 0}
    ckstore.torch.save({"x": torch.ones(2), "n": 1}, store_path)
    assert ckstore.torch.load(store_path, into=target) is target
    assert (target["x"].tolist(), target["n"]) == ([1, 1], 1)


def test_arrays_are_saved_and_loaded_by_numpy_names(store_path: str) -> None:
    weights, bias = np.arange(6.0).reshape(2, 3), np.ones(3, np.float32)
    ckstore.numpy.savez(store_path, bias, weights=weights, scale=2.5, list=[1, 2])
    with ckstore.numpy.load(store_path) as back:
        assert back.files == ["arr_0", "weights", "scale", "list"]
        assert "weights" in back
        assert_same(weights, back["weights"])
        assert_same(bias, back["arr_0"])
        assert back["scale"] == 2.5
    ckstore.numpy.savez_compressed(f"{store_path}::sweep@3", x=weights)
    assert ckstore.numpy.load(f"{store_path}::sweep@3")["x"].tolist() == weights.tolist()
    with pytest.raises(UsageError, match="arr_0"):
        ckstore.numpy.savez(store_path, bias, arr_0=bias)


def test_one_array_is_saved_and_loaded(store_path: str) -> None:
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    ckstore.numpy.save(store_path, array)
    back = ckstore.numpy.load(store_path)
    assert_same(array, back)
    assert back.flags.f_contiguous
    ckstore.numpy.save(store_path, [1, 2])
    assert ckstore.numpy.load(store_path).tolist() == [1, 2]


def test_map_modes_are_memory_or_refused(store_path: str) -> None:
    ckstore.numpy.savez(store_path, x=np.ones(3))
    assert not ckstore.numpy.load(store_path, mmap_mode="r")["x"].flags.writeable
    assert ckstore.numpy.load(store_path, mmap_mode="c")["x"].flags.writeable
    for mode in ("r+", "w+"):
        with pytest.raises(UsageError, match="never change"):
            ckstore.numpy.load(store_path, mmap_mode=mode)


def test_object_arrays_need_pickle_on_both_sides(store_path: str) -> None:
    array = np.array([{"a": 1}, None], dtype=object)
    with pytest.raises(UsageError, match="object arrays"):
        ckstore.numpy.savez(store_path, x=array)
    ckstore.numpy.savez(store_path, x=array, allow_pickle=True)
    with pytest.raises(UsageError, match="allow_pickle=True"):
        ckstore.numpy.load(store_path)
    assert ckstore.numpy.load(store_path, allow_pickle=True)["x"][0] == {"a": 1}


def test_what_torch_saved_numpy_loads(store_path: str) -> None:
    ckstore.torch.save({"w": torch.ones(2, dtype=torch.bfloat16), "n": {"step": 1}}, store_path)
    back = ckstore.numpy.load(store_path)
    assert back["w"].dtype.name == "bfloat16"
    assert back["n"] == {"step": 1}


def test_subclasses_are_allowed_through_the_public_name() -> None:
    with pytest.raises(UsageError, match="__tensor_flatten__"):
        ckstore.torch.allow_subclass(torch.Tensor)
