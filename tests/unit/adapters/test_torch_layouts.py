"""Torch tensors in every memory order, on this device and as on others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ckstore.adapters import tree
from ckstore.adapters.torch import elsewhere
from ckstore.errors import UsageError
from ckstore.tensor import TensorView
from unit.adapters.memory_engine import PIECE_ITEMS, Saved, fill, round_trip
from unit.adapters.sameness import assert_same, tensor_bytes


def the_view(tensor: torch.Tensor) -> TensorView:
    row = tree.flatten(tensor)[0]
    assert isinstance(row, TensorView)
    return row


X = torch.arange(120.0).reshape(2, 3, 4, 5)
LAYOUTS: list[tuple[str, torch.Tensor, bool]] = [  # name, tensor, whether its strides come back
    ("contiguous", X, True),
    ("0-d", torch.tensor(2.5), True),
    ("empty", torch.empty(0, 3), True),
    ("empty inside", torch.empty(3, 0, 2), True),
    ("channels_last", X.to(memory_format=torch.channels_last), True),
    ("channels_last_3d", torch.arange(240.0).reshape(2, 3, 2, 4, 5).to(memory_format=torch.channels_last_3d), True),
    ("channels_last of one channel", torch.ones(2, 1, 4, 5).to(memory_format=torch.channels_last), True),
    ("transposed", X[0, 0].t(), True),
    ("permuted", X.permute(2, 0, 3, 1), True),
    ("rows", X[1:], True),
    ("columns", X[..., 1:3], False),
    ("steps", X[:, ::2, 1::2], False),
    ("expanded", torch.arange(5.0).expand(3, 4, 5), False),
    ("expanded scalar", torch.tensor(1.0).expand(7), False),
    ("diagonal", X[0, 0].diagonal(), False),
    ("unfolded", torch.arange(10.0).unfold(0, 4, 1), False),
    ("conjugate", torch.randn(3, 4, dtype=torch.complex64).conj(), True),
    ("conjugate transposed", torch.randn(3, 4, dtype=torch.complex128).mH, True),
    ("negative", torch.randn(3, 4, dtype=torch.complex64).conj().imag, False),
]


@pytest.mark.parametrize(("tensor", "exact"), [row[1:] for row in LAYOUTS], ids=[row[0] for row in LAYOUTS])
def test_every_memory_layout_is_read_in_c_order(tensor: torch.Tensor, exact: bool) -> None:
    back = round_trip(tensor)
    assert_same(tensor, back)
    assert Saved(tensor).data[()] == tensor_bytes(tensor)
    assert back.stride() == (tensor.stride() if exact else torch.empty(tensor.shape).stride())
    assert not back.is_conj()
    assert not back.is_neg()


def test_channels_last_is_channels_last_again() -> None:
    back = round_trip(X.to(memory_format=torch.channels_last))
    assert back.is_contiguous(memory_format=torch.channels_last)


def test_a_slice_saves_its_own_bytes_and_not_those_of_its_storage() -> None:
    big = torch.zeros(100_000)
    assert the_view(big[10:20]).nbytes == 40
    assert round_trip(big[10:20]).untyped_storage().nbytes() == 40


@pytest.mark.parametrize("tensor", [row[1] for row in LAYOUTS], ids=[row[0] for row in LAYOUTS])
def test_tensors_of_other_devices_are_read_range_by_range(tensor: torch.Tensor) -> None:
    read, size, expected = elsewhere.reader(tensor), tensor.dtype.itemsize, tensor_bytes(tensor)
    step = PIECE_ITEMS * size
    assert b"".join(bytes(read(at, min(len(expected), at + step))) for at in range(0, len(expected), step)) == expected


@pytest.mark.parametrize("tensor", [row[1] for row in LAYOUTS if row[2]], ids=[row[0] for row in LAYOUTS if row[2]])
def test_tensors_of_other_devices_are_written_range_by_range(tensor: torch.Tensor) -> None:
    target = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
    destination = elsewhere.destination(target)
    assert destination.window(0, 0) is None
    fill(destination, tensor_bytes(tensor), tensor.dtype.itemsize)
    assert_same(tensor, target)


def test_bytes_that_may_not_be_written_to_can_be_written_from(recwarn: pytest.WarningsRecorder) -> None:
    target = torch.zeros(3)
    torch.set_warn_always(True)
    elsewhere.destination(target).write(4, memoryview(np.float32(7).tobytes()))
    torch.set_warn_always(False)
    assert target.tolist() == [0.0, 7.0, 0.0]
    assert not recwarn.list


def test_a_device_is_chosen_by_name_by_function_or_as_saved() -> None:
    saved = Saved({"t": torch.ones(2), "n": np.ones(2)})
    for device in ("cpu", torch.device("cpu"), "saved", lambda place: {"cpu": "cpu"}[place], None):
        assert saved.load(device=device)["t"].device.type == "cpu"
    assert saved.load(device="meta")["t"].is_meta
    assert type(saved.load(device="meta")["n"]) is np.ndarray
    with pytest.raises(UsageError, match="not a torch device"):
        saved.load(device="gpu:x")


def test_the_default_device_of_torch_plays_no_part() -> None:
    with torch.device("meta"):
        assert round_trip({"a": torch.ones(2, device="cpu")})["a"].device.type == "cpu"
