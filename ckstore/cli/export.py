"""`export`: one checkpoint, or a part of it, as a file that other tools read."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ckstore.cli import output, text
from ckstore.cli.common import command, reading, ref_argument, store_argument
from ckstore.cli.export_formats import FORMATS
from ckstore.cli.replace import replacing
from ckstore.errors import ConflictError, NotFoundError, UsageError

_FORMAT_OF = {
    ".safetensors": "safetensors",
    ".npz": "npz",
    ".pt": "torch",
    ".pth": "torch",
    ".ckpt": "torch",
    ".bin": "torch",
}


@command("ckstore export runs/store main@min:loss best.safetensors --select 'model.*' --strip-prefix model.")
@store_argument
@ref_argument
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--to", "to", type=click.Choice(sorted(FORMATS)), help="The format; else the extension of FILE says it.")
@click.option("--select", metavar="PATTERN", multiple=True, help="Only leaves whose dotted path matches; repeatable.")
@click.option("--strip-prefix", default="", metavar="TEXT", help="Take TEXT off the front of names (not for torch).")
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
def export(
    path: str,
    ref: str,
    file: Path,
    to: str | None,
    select: tuple[str, ...],
    strip_prefix: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write the checkpoint REF to FILE as safetensors, npz or a torch file.

    safetensors and npz hold a flat list of arrays, named by dotted path; values that are not arrays are left out, and
    named. A torch file holds the tree that was saved.

    JSON: checkpoint: {as in `ls`}, file, format, file_bytes, n_arrays, left_out: [path].
    """
    to = to or _format_of(file)
    _check(file, to, strip_prefix, overwrite)
    with reading(path) as store, output.working(f"exporting to {file}"):
        checkpoint = store.checkpoint(ref)
        if to == "torch":
            state = store.load(checkpoint.id, select=select or None, framework="torch")
        else:
            state = store.arrays(checkpoint.id, select=select or None)
        with replacing(file, overwrite=overwrite) as temporary:
            n_arrays, left_out = FORMATS[to](temporary, state, strip_prefix, {"ckstore.id": checkpoint.id})
    file_bytes = file.stat().st_size
    if as_json:
        facts = {"file": str(file), "format": to, "file_bytes": file_bytes, "n_arrays": n_arrays, "left_out": left_out}
        output.print_json({"checkpoint": checkpoint.to_dict(), **facts})
        return
    click.echo(f"{checkpoint.ref} → {file}: {text.count(n_arrays, 'array')}, {text.size(file_bytes)}")
    if left_out:
        output.note(f"left out, not arrays: {_abridged(left_out)} (--to torch keeps them)")


def _format_of(file: Path) -> str:
    try:
        return _FORMAT_OF[file.suffix.lower()]
    except KeyError:
        known = " ".join(_FORMAT_OF)
        raise UsageError(f"{file}: its extension names no format ({known}); give --to") from None


def _check(file: Path, to: str, strip_prefix: str, overwrite: bool) -> None:
    """Refuse early what would fail only after all the loading."""
    if to == "torch" and strip_prefix:
        raise UsageError("--strip-prefix is for flat names: a torch file keeps the tree")
    if not file.parent.is_dir():
        raise NotFoundError(f"{file.parent} is not a directory")
    if os.path.lexists(file) and not overwrite:
        raise ConflictError(f"{file} exists: give --overwrite to replace it")


def _abridged(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
