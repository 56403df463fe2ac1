"""`init`, `ls` and `stats`: make a store, list what is in it, sum it up."""

from __future__ import annotations

import os

import click

from ckstore import api
from ckstore.cli import output, text
from ckstore.cli.common import command, reading, store_argument
from ckstore.cli.output import Column
from ckstore.errors import RefNotFound, StoreNotFound

NOISE_NOTE = "trained float weights are mostly noise: full dense Adam training seldom gets far under 0.7"


@command("ckstore init runs/store")
@store_argument
def init(path: str, as_json: bool) -> None:
    """Make an empty store. A store that is already there is left as it is.

    JSON: path, created.
    """
    created = not _exists(path)
    with api.open(path, create=True):
        pass
    if as_json:
        output.print_json({"path": os.path.abspath(path), "created": created})
    else:
        output.print_pairs([("created" if created else "already a store", path)])


def _exists(path: str) -> bool:
    try:
        with reading(path):
            return True
    except StoreNotFound:
        return False


@command("ckstore ls runs/store --run main")
@store_argument
@click.option("--run", help="Only the checkpoints of this run.")
def ls(path: str, run: str | None, as_json: bool) -> None:
    """List the checkpoints, oldest first.

    JSON: checkpoints: [{ref, id, run, step, time, metrics, tags, meta, logical_bytes, stored_bytes, parent,
    n_tensors, dropped}].
    """
    with reading(path) as store:
        checkpoints = store.checkpoints(run)
        if run is not None and not checkpoints:
            raise RefNotFound(f"no checkpoint of run {run!r} in {path}")
    if as_json:
        output.print_json({"checkpoints": [checkpoint.to_dict() for checkpoint in checkpoints]})
    elif checkpoints:
        output.print_table(_LS_COLUMNS, [_ls_row(checkpoint) for checkpoint in checkpoints])
    else:
        output.note("no checkpoints yet")


_LS_COLUMNS = (
    Column("ref"),
    Column("id"),
    Column("time"),
    Column("metrics", wrap=True),
    Column("tags", wrap=True),
    Column("logical", number=True),
    Column("stored", number=True),
)


def _ls_row(checkpoint: api.Checkpoint) -> list[str]:
    return [
        checkpoint.ref,
        checkpoint.id[:12],
        text.moment(checkpoint.time),
        text.metrics(checkpoint.metrics),
        " ".join(checkpoint.tags),
        text.size(checkpoint.logical_bytes),
        text.size(checkpoint.stored_bytes),
    ]


@command("ckstore stats runs/store")
@store_argument
def stats(path: str, as_json: bool) -> None:
    """Sum up the store: what it holds, and what that takes on disk.

    JSON: n_checkpoints, logical_bytes, stored_bytes, root_bytes, n_packs, n_chunks, damaged_segments, root_number,
    runs: [{run, n_checkpoints, logical_bytes, stored_bytes}].
    """
    with reading(path) as store, output.working("reading the store"):
        report = store.stats()
    if as_json:
        output.print_json(report.to_dict())
        return
    output.print_pairs(
        [
            ("checkpoints", f"{report.n_checkpoints:,} in {text.count(len(report.runs), 'run')}"),
            ("logical", f"{text.size(report.logical_bytes)}, the tensors of all checkpoints"),
            ("stored", f"{text.size(report.stored_bytes)}, all files of the store"),
            ("roots", f"{text.size(report.root_bytes)} of these, one for each commit; gc trims them after an hour"),
            ("ratio", f"{text.share(report.stored_bytes, report.logical_bytes)} stored / logical"),
            ("packs", f"{report.n_packs:,}"),
            ("chunks", f"{report.n_chunks:,}"),
        ]
    )
    if report.damaged_segments:
        damaged = text.count(report.damaged_segments, "damaged segment")
        output.note(f"{damaged}: what they alone list is not counted; checkpoints stay readable")
    if report.n_checkpoints:
        output.note(f"({NOISE_NOTE})")
