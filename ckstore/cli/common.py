"""What every command shares: the STORE argument, --json, opening a store, and how a checkpoint is printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ckstore import api
from ckstore.cli import output, text


def command(example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command with `--json` whose help ends with an example."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        with_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
        return click.command(epilog=f"Example: {example}")(with_json(function))

    return decorate


store_argument = click.argument("path", metavar="STORE")
ref_argument = click.argument("ref", metavar="REF")


def reading(path: str) -> api.Store:
    """The store at `path`, opened so that nothing in it changes: works on a read-only mount."""
    return api.open(path, readonly=True)


def writing(path: str) -> api.Store:
    """The store at `path`, opened for changes; it must exist."""
    return api.open(path)


def print_checkpoint(checkpoint: api.Checkpoint) -> None:
    """Print one checkpoint as `name  value` lines."""
    stored = text.size(checkpoint.stored_bytes)
    output.print_pairs(
        [
            ("ref", checkpoint.ref),
            ("id", checkpoint.id),
            ("time", text.moment(checkpoint.time)),
            ("parent", checkpoint.parent or "-"),
            ("metrics", text.metrics(checkpoint.metrics) or "-"),
            ("tags", " ".join(checkpoint.tags) or "-"),
            *((f"meta {name}", str(value)) for name, value in checkpoint.meta.items()),
            ("logical", f"{text.size(checkpoint.logical_bytes)} in {text.count(checkpoint.n_tensors, 'tensor')}"),
            *((("dropped", " ".join(checkpoint.dropped)),) if checkpoint.dropped else ()),
            ("stored", f"{stored} ({text.share(checkpoint.stored_bytes, checkpoint.logical_bytes)} of logical)"),
        ]
    )
