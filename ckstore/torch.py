"""`torch.save` and `torch.load` on a store: same argument names, no pickle unless it is asked for.

    ckstore.torch.save(state, "runs/store")             # the next step of run "main"
    ckstore.torch.save(state, "runs/store::lora@100")   # step 100 of run "lora"
    state = ckstore.torch.load("runs/store")            # the newest checkpoint
    state = ckstore.torch.load("runs/store::lora@min:loss", map_location="cpu")

A path is a store's directory, made on the first save, with an optional reference after `::`.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ckstore.adapters.location import run_and_step, split
from ckstore.adapters.torch.subclasses import allow_subclass
from ckstore.api import Checkpoint
from ckstore.api import open as open_store
from ckstore.errors import UsageError

__all__ = ["allow_subclass", "load", "save"]


def save(
    obj: Any,
    f: str | os.PathLike[str],
    pickle_module: Any = None,
    pickle_protocol: int | None = None,
    *,
    run: str | None = None,
    step: int | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Sequence[str] = (),
    meta: Mapping[str, Any] | None = None,
    parent: str | Checkpoint | None = "auto",
    allow_pickle: bool = False,
) -> Checkpoint:
    """Save `obj` as a new checkpoint; durable when it returns. Saving to one path again keeps the earlier ones.

    pickle_module=pickle (or allow_pickle=True): save objects of unknown types by pickle instead of refusing them.
    pickle_protocol is accepted and has no effect. The other arguments are those of Store.save, and win over `f`.
    """
    store, ref = split(f)
    named_run, named_step = run_and_step(ref)
    with open_store(store, create=True) as opened:
        return opened.save(
            obj, run=run or named_run, step=named_step if step is None else step, metrics=metrics, tags=tags, meta=meta,
            parent=parent, allow_pickle=allow_pickle or _wants_pickle(pickle_module),
        )  # fmt: skip


def load(
    f: str | os.PathLike[str],
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    select: str | Sequence[str] | None = None,
    into: Any = None,
    verify: bool = True,
    **pickle_load_args: Any,
) -> Any:
    """The object saved at `f`: the newest checkpoint, or the one named after `::`. NumPy arrays come out as saved.

    map_location: a device, a dict of devices, or a function, as for torch.load; None = the device each tensor was on.
    weights_only=False or pickle_module=pickle: run the pickles in it; trust whoever saved them. mmap has no effect:
    stored bytes are coded. select, into and verify are those of Store.load.
    """
    if pickle_load_args:
        raise UsageError(f"{', '.join(sorted(pickle_load_args))}: arguments for pickle have no meaning here")
    if weights_only and pickle_module is not None:
        raise UsageError("weights_only=True runs no pickle, so pickle_module has no use: leave one of them out")
    store, ref = split(f)
    device = None if into is not None else _device(map_location)
    allow_pickle = weights_only is False or _wants_pickle(pickle_module)
    with open_store(store, readonly=True) as opened:
        return opened.load(
            ref or "latest", select=select, into=into, device=device, verify=verify, allow_pickle=allow_pickle
        )


def _wants_pickle(module: Any) -> bool:
    if module not in (None, pickle):
        raise UsageError("only Python's own pickle can be used as pickle_module")
    return module is not None


def _device(map_location: Any) -> Any:
    """`map_location` as what Store.load takes: a device, or a function from the saved device to one."""
    if map_location is None:
        return "saved"
    if isinstance(map_location, Mapping):
        places = {str(saved): place for saved, place in map_location.items()}
        return lambda saved: places.get(saved, saved)
    is_device = isinstance(map_location, (str, int, torch.device))
    return map_location if is_device else _called(map_location)


def _called(function: Callable[[Any, str], Any]) -> Callable[[str], Any]:
    """torch gives such a function a storage and a location, and takes the device of what it returns."""

    def device(saved: str) -> Any:
        found = function(torch.empty(0, device="cpu").untyped_storage(), saved)
        return saved if found is None else found.device

    return device
