"""Tensors that NumPy cannot look at (other devices, conjugate and negative views), range by range."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ckstore.adapters.strided import as_bytes, boxes
from ckstore.adapters.torch.dtypes import carried
from ckstore.tensor import Destination


def reader(tensor: torch.Tensor) -> Callable[[int, int], memoryview]:
    """TensorView.read: private host copies of the range asked for, and no more."""
    if tensor.is_cuda:  # ranges are read by other threads, on another stream than the one that may still be writing
        torch.cuda.current_stream(tensor.device).synchronize()
    lazy = tensor.is_conj() or tensor.is_neg()
    items, size = _items(tensor) if lazy else carried(_items(tensor)), tensor.dtype.itemsize

    def read(start: int, stop: int) -> memoryview:
        first = start // size
        host = np.empty(stop - start, np.uint8)
        for index, a, b in boxes(tuple(items.shape), first, stop // size):
            part = items[index].resolve_conj().resolve_neg().contiguous().cpu()
            host[(a - first) * size : (b - first) * size] = np.frombuffer(as_bytes(carried(part).numpy()), np.uint8)
        return host.data

    return read


def destination(tensor: torch.Tensor) -> Destination:
    """Destination that copies each range to where the tensor lives."""
    items, size = carried(_items(tensor)), tensor.dtype.itemsize

    def write(start: int, source: memoryview) -> None:
        # torch warns about read-only memory, so such a range is copied once more on its way
        data = np.frombuffer(source, np.uint8)
        given = torch.from_numpy(data if data.flags.writeable else data.copy()).view(items.dtype)
        first = start // size
        for index, a, b in boxes(tuple(items.shape), first, first + given.numel()):
            part = items[index]
            part.copy_(given[a - first : b - first].view(part.shape))

    return Destination(lambda start, stop: None, write)


def _items(tensor: torch.Tensor) -> torch.Tensor:
    """Detached, flat where that needs no copy, and never 0-d."""
    plain = tensor.detach()
    return plain.view(-1) if plain.is_contiguous() else plain
