"""Where a drop-in saves to and loads from: `STORE`, or `STORE::REF` with a reference into it."""

from __future__ import annotations

import os
from typing import Any

from ckstore.errors import UsageError

SEPARATOR = "::"


def split(file: Any) -> tuple[str, str]:
    """Store directory and reference ("" if none) of a path."""
    if not isinstance(file, (str, os.PathLike)):
        raise UsageError(f"a store is a directory, named by its path; {type(file).__qualname__} is not one")
    path = os.fspath(file)
    if not isinstance(path, str):
        raise UsageError("the path of a store must be text, not bytes")
    store, separator, ref = path.rpartition(SEPARATOR)
    if not separator:
        store, ref = path, ""
    if os.path.isfile(store):
        raise UsageError(
            f"{store} is a file; a store is a directory: name another path, or read it with its own library"
        )
    return store, ref


def run_and_step(ref: str) -> tuple[str, int | None]:
    """Run and step of the reference that a save is to have: RUN or RUN@STEP; "" is the run `main`, its next step."""
    run, separator, step = ref.rpartition("@")
    if not separator:
        return ref or "main", None
    try:
        return run or "main", int(step)
    except ValueError as error:
        raise UsageError(f"{ref!r} names no place to save to: give RUN or RUN@STEP, with a number as STEP") from error
