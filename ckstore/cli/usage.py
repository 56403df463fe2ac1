"""`du`: where the bytes of a store are, and which of them a deletion would free."""

from __future__ import annotations

import click

from ckstore import api
from ckstore.cli import output, text
from ckstore.cli.common import command, reading, store_argument
from ckstore.cli.output import Column
from ckstore.engine.reports import CheckpointUsage, RunStats, UsageReport

_COLUMNS = (
    Column("ref"),
    Column("tags", wrap=True),
    Column("logical", number=True),
    Column("stored", number=True),
    Column("exclusive", number=True),
)


@command("ckstore du runs/store")
@store_argument
def du(path: str, as_json: bool) -> None:
    """Show what each run and each checkpoint takes.

    `stored` is what saving it added. `exclusive` is what deleting that checkpoint alone would free: the rest is shared
    with others. Dead bytes belong to no checkpoint; `ckstore gc` frees them.

    JSON: total_bytes, dead_bytes, checkpoints: [{id, ref, stored_bytes, exclusive_bytes, damaged}], runs: [{run,
    n_checkpoints, logical_bytes, stored_bytes}].
    """
    with reading(path) as store, output.working("adding up"):
        usage, runs = store.usage(), store.stats().runs
        known = {checkpoint.id: checkpoint for checkpoint in store.checkpoints()}
    if as_json:
        output.print_json(usage.to_dict() | {"runs": [run.to_dict() for run in runs]})
        return
    if usage.checkpoints:
        output.print_table(_COLUMNS, [_row(known.get(used.id), used) for used in usage.checkpoints])
        click.echo()
    output.print_pairs(_totals(usage, runs))
    output.note_damaged([used.ref for used in usage.checkpoints if used.damaged])


def _row(checkpoint: api.Checkpoint | None, used: CheckpointUsage) -> list[str]:
    """checkpoint: None if it was deleted between the two looks at the store."""
    tags, logical = (" ".join(checkpoint.tags), text.size(checkpoint.logical_bytes)) if checkpoint else ("", "-")
    exclusive = "damaged" if used.damaged else text.size(used.exclusive_bytes)
    return [used.ref, tags, logical, text.size(used.stored_bytes), exclusive]


def _totals(usage: UsageReport, runs: list[RunStats]) -> list[tuple[str, str]]:
    totals = [
        (
            f"run {run.run}",
            f"{text.size(run.stored_bytes)} stored for {text.size(run.logical_bytes)} logical, "
            + text.count(run.n_checkpoints, "checkpoint"),
        )
        for run in runs
    ]
    dead = text.size(usage.dead_bytes) + (" (`ckstore gc` frees it)" if usage.dead_bytes else "")
    return [*totals, ("total", text.size(usage.total_bytes)), ("dead", dead)]
