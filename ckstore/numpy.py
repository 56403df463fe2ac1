"""`numpy.save`, `savez` and `load` on a store: same argument names, no pickle unless it is asked for.

    ckstore.numpy.savez("runs/store", weights=w, bias=b)        # the next step of run "main"
    ckstore.numpy.savez("runs/store::sweep@3", weights=w)       # step 3 of run "sweep"
    arrays = ckstore.numpy.load("runs/store")                   # the newest; arrays["weights"], arrays.files

A path is a store's directory, made on the first save, with an optional reference after `::`.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any

import numpy as np

from ckstore.adapters.location import run_and_step, split
from ckstore.api import Checkpoint
from ckstore.api import open as open_store
from ckstore.errors import UsageError

__all__ = ["Arrays", "load", "save", "savez", "savez_compressed"]


class Arrays(dict[str, Any]):
    """The arrays of one savez(), by name. Has what users of numpy.load rely on; closing it does nothing."""

    @property
    def files(self) -> list[str]:
        """The names."""
        return list(self)

    def close(self) -> None:
        """Nothing is open: all arrays are in memory."""

    def __enter__(self) -> Arrays:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def save(file: str | os.PathLike[str], arr: Any, allow_pickle: bool = False) -> Checkpoint:
    """Save one array as a new checkpoint; durable when it returns."""
    return _save(file, np.asanyarray(arr), allow_pickle)


def savez(file: str | os.PathLike[str], *args: Any, allow_pickle: bool = False, **kwds: Any) -> Checkpoint:
    """Save several arrays as a new checkpoint, by name or as arr_0, arr_1, …; durable when it returns."""
    named = {f"arr_{i}": value for i, value in enumerate(args)}
    if twice := sorted(named.keys() & kwds.keys()):
        raise UsageError(f"cannot use un-named arrays and the keyword {twice[0]}: both would be {twice[0]}")
    arrays = {name: np.asanyarray(value) for name, value in (named | kwds).items()}
    return _save(file, arrays, allow_pickle)


savez_compressed = savez
"""Everything in a store is compressed."""


def load(
    file: str | os.PathLike[str],
    mmap_mode: str | None = None,
    allow_pickle: bool = False,
    fix_imports: bool = True,
    encoding: str = "ASCII",
    *,
    max_header_size: int = 10_000,
) -> Any:
    """What was saved at `file`: an array, Arrays, or any other state with its tensors as NumPy arrays.

    mmap_mode: "r" and "c" load into memory ("r" read-only); "r+" and "w+" are refused, a checkpoint never changes.
    allow_pickle: run the pickles in it; trust whoever saved them. The other arguments have no effect.
    """
    if mmap_mode not in (None, "r", "c"):
        raise UsageError(f"mmap_mode={mmap_mode!r} would write to a checkpoint, and they never change")
    store, ref = split(file)
    with open_store(store, readonly=True) as opened:
        state = opened.load(ref or "latest", framework="numpy", allow_pickle=allow_pickle)
    if mmap_mode == "r":
        _freeze(state)
    is_named = type(state) is dict and all(isinstance(value, np.ndarray) for value in state.values())
    return Arrays(state) if is_named else state


def _save(file: str | os.PathLike[str], state: Any, allow_pickle: bool) -> Checkpoint:
    store, ref = split(file)
    run, step = run_and_step(ref)
    with open_store(store, create=True) as opened:
        return opened.save(state, run=run, step=step, allow_pickle=allow_pickle)


def _freeze(state: Any) -> None:
    """Make the arrays read-only, as those of a read-only map are."""
    for value in state.values() if isinstance(state, dict) else [state]:
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
