"""A loaded state → a safetensors, npz or torch file. The libraries are imported only when they are needed."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ckstore.errors import NotFoundError, UnsupportedError, UsageError
from ckstore.tensor import dotted

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]


def write_torch(file: Path, state: Any, strip_prefix: str, notes: Mapping[str, str]) -> tuple[int, list[str]]:
    """Write `state`, a tree of torch tensors, as `torch.save` does: whole, so nothing is left out."""
    torch = _library("torch", "a torch file")
    torch.save(state, file)
    return sum(isinstance(leaf, torch.Tensor) for _, leaf in _leaves(state, ())), []


def write_safetensors(file: Path, state: Any, strip_prefix: str, notes: Mapping[str, str]) -> tuple[int, list[str]]:
    """Write the arrays of `state`; returns their number and the names of the leaves left out. UsageError: dtype."""
    safetensors = _library("safetensors.numpy", "safetensors")
    arrays, left_out = flattened(state, strip_prefix)
    # The library takes the memory as it lies: an array in another order would be written scrambled.
    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    _refuse("safetensors", [name for name, array in plain.items() if array.dtype.name not in _SAFETENSORS], plain)
    # transformers refuses a file that does not say which framework its tensors are for.
    safetensors.save_file(plain, file, metadata={"format": "pt", **notes})
    return len(plain), left_out


_SAFETENSORS = {
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
    "float16", "bfloat16", "float32", "float64", "complex64",
    "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
}  # fmt: skip


def write_npz(file: Path, state: Any, strip_prefix: str, notes: Mapping[str, str]) -> tuple[int, list[str]]:
    """Write the arrays of `state`; returns their number and the names left out. UsageError: dtype, name."""
    arrays, left_out = flattened(state, strip_prefix)
    _refuse("npz", [name for name, array in arrays.items() if not _npy_can_hold(array.dtype)], arrays)
    # numpy.savez takes names as keyword arguments, so an array called `file` would not do.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(_entry_name(name), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
    return len(arrays), left_out


FORMATS: dict[str, Callable[[Path, Any, str, Mapping[str, str]], tuple[int, list[str]]]] = {
    "npz": write_npz,
    "safetensors": write_safetensors,
    "torch": write_torch,
}


def flattened(state: Any, strip_prefix: str = "") -> tuple[Arrays, list[str]]:
    """The NumPy arrays of `state` by dotted name, in tree order, and the names of all leaves that are not arrays.

    Raises UsageError where two arrays would get one name or an array is masked, NotFoundError where there is no array.
    """
    arrays: Arrays = {}
    left_out: list[str] = []
    for path, leaf in _leaves(state, ()):
        name = dotted(path) or "array"
        if not isinstance(leaf, np.ndarray):
            left_out.append(name)
            continue
        name = name.removeprefix(strip_prefix) or name
        if name in arrays:
            raise UsageError(f"two arrays would be named {name!r}: export them apart, with --select")
        if isinstance(leaf, np.ma.MaskedArray):
            raise UsageError(f"{name} is a masked array, and this format has no place for its mask")
        arrays[name] = leaf
    if not arrays:
        raise NotFoundError("nothing to export: no array matches")
    return arrays, left_out


def _leaves(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(node, Mapping):
        children = list(node.items())
    elif isinstance(node, (list, tuple)):
        children = list(enumerate(node))
    else:
        yield path, node
        return
    for key, child in children:
        yield from _leaves(child, (*path, key))


def _refuse(format_name: str, names: list[str], arrays: Arrays) -> None:
    if names:
        listed = ", ".join(f"{name} ({arrays[name].dtype.name})" for name in names[:5])
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        hint = "; safetensors or torch may" if format_name == "npz" else "; torch may"
        raise UsageError(f"{format_name} cannot hold the dtype of {listed}{more}{hint}")


def _npy_can_hold(dtype: np.dtype[Any]) -> bool:
    """False for bfloat16 and its like: their .npy header would read as nameless bytes."""
    try:
        return np.lib.format.descr_to_dtype(np.lib.format.dtype_to_descr(dtype)) == dtype
    except (TypeError, ValueError):
        return False


def _entry_name(name: str) -> str:
    """The zip entry of an array. A name is data from a store: it must not lead an unzip tool out of its folder."""
    if "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise UsageError(f"{name!r} cannot be the name of a file in an archive: export to safetensors instead")
    return f"{name}.npy"


def _library(module: str, purpose: str) -> Any:
    """Import an optional library, or raise UnsupportedError with the command that installs it."""
    from importlib import import_module

    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError:
        raise UnsupportedError(f"export to {purpose} needs {package}: pip install {package}") from None
