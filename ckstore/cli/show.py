"""`show`: one checkpoint and its leaves."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Iterator, Sequence

import click

from ckstore.cli import output, text
from ckstore.cli.common import command, print_checkpoint, reading, ref_argument, store_argument
from ckstore.cli.output import Column
from ckstore.engine.reports import LeafInfo
from ckstore.errors import NotFoundError

_COLUMNS = (
    Column("path"),
    Column("type"),
    Column("dtype"),
    Column("shape"),
    Column("bytes", number=True),
    Column("stored", number=True),
    Column("chain", number=True),
    Column("codecs", wrap=True),
)


@command("ckstore show runs/store latest 'model.*'")
@store_argument
@ref_argument
@click.argument("pattern", required=False)
def show(path: str, ref: str, pattern: str | None, as_json: bool) -> None:
    """Show the checkpoint REF: its parent, metrics and notes, and the leaves whose dotted path matches PATTERN.

    JSON: checkpoint: {as in `ls`}, leaves: [{path, kind, dtype, shape, nbytes, stored_bytes,
    n_chunks, max_chain, codecs}].
    """
    with reading(path) as store:
        checkpoint = store.checkpoint(ref)
        leaves = [leaf for leaf in store.leaves(checkpoint.id) if _matches(leaf, pattern)]
    if pattern is not None and not leaves:
        raise NotFoundError(f"{checkpoint.ref} has no leaf that matches {pattern!r}")
    if as_json:
        output.print_json({"checkpoint": checkpoint.to_dict(), "leaves": [leaf.to_dict() for leaf in leaves]})
        return
    print_checkpoint(checkpoint)
    click.echo()
    output.print_table(_COLUMNS, list(_tree(leaves)) if sys.stdout.isatty() else [_row(leaf) for leaf in leaves])


def _matches(leaf: LeafInfo, pattern: str | None) -> bool:
    return pattern is None or fnmatch.fnmatchcase(leaf.path, pattern)


def _row(leaf: LeafInfo) -> list[str]:
    """A leaf with its whole path: for a pipe, where one line is one leaf."""
    codecs = " ".join(f"{name}:{n}" for name, n in leaf.codecs.items())
    numbers = [text.size(leaf.nbytes), text.size(leaf.stored_bytes), str(leaf.max_chain or "")]
    return [leaf.path, leaf.kind, leaf.dtype, text.shape(leaf.shape) if leaf.dtype else "", *numbers, codecs]


def _tree(leaves: Sequence[LeafInfo]) -> Iterator[list[str]]:
    """Leaves below rows for what contains them, with the sums of each: for a terminal."""
    totals: dict[tuple[str, ...], tuple[int, int]] = {}
    for leaf in leaves:
        for prefix in _containers(leaf):
            nbytes, stored_bytes = totals.get(prefix, (0, 0))
            totals[prefix] = nbytes + leaf.nbytes, stored_bytes + leaf.stored_bytes
    for leaf in leaves:
        for prefix in _containers(leaf):
            if prefix in totals:
                nbytes, stored_bytes = totals.pop(prefix)
                label = "  " * (len(prefix) - 1) + prefix[-1]
                yield [label, "", "", "", text.size(nbytes), text.size(stored_bytes), "", ""]
        depth, name = leaf.path.count("."), leaf.path.rpartition(".")[2]
        yield ["  " * depth + name, *_row(leaf)[1:]]


def _containers(leaf: LeafInfo) -> list[tuple[str, ...]]:
    keys = leaf.path.split(".")
    return [tuple(keys[:depth]) for depth in range(1, len(keys))]
