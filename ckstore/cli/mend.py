"""`repair`: say what can be made anew of a damaged store and what is lost; with --apply make it anew."""

from __future__ import annotations

import click

from ckstore import api
from ckstore.cli import output, text
from ckstore.cli.common import command, store_argument
from ckstore.cli.failure import DIFFERENCE, OK
from ckstore.cli.output import Column
from ckstore.engine.reports import RepairReport


@command("ckstore repair runs/store --apply")
@store_argument
@click.option("--apply", is_flag=True, help="Do it. Without, only say what would be done.")
def repair(path: str, apply: bool, as_json: bool) -> int:
    """Make anew what can be of a damaged store, and say what is lost. Writes new files only and deletes none.

    Other copies of damaged chunks are used where there are any. A copy of the store, or of the lost files, made before
    the damage is better than any repair: look for one first. Exit code 1 if something is lost, or is still to be done.

    JSON: dry_run, ok, root_number, remedies: [{object, problem, remedy}], losses: [{ref, id, tensors, problem}],
    copied_bytes.
    """
    with output.working("repairing" if apply else "looking"):
        report = api.repair(path, dry_run=not apply)
    if as_json:
        output.print_json(report.to_dict())
    else:
        _print(report, path)
    return DIFFERENCE if report.losses or (report.remedies and report.dry_run) else OK


def _print(report: RepairReport, path: str) -> None:
    if report.ok:
        click.echo("ok: nothing to repair")
    if report.remedies:
        columns = Column("object"), Column("problem", wrap=True), Column("remedy", wrap=True)
        output.print_table(columns, [(one.object, one.problem, one.remedy) for one in report.remedies])
    if report.losses:
        columns = Column("lost of"), Column("tensors", wrap=True), Column("why", wrap=True)
        output.print_table(columns, [(loss.ref, " ".join(loss.tensors), loss.problem) for loss in report.losses])
    if report.remedies and report.dry_run:
        click.echo(f"nothing was written: `ckstore repair {path} --apply` does it")
    elif report.remedies:
        click.echo(f"repaired: {text.count(len(report.remedies), 'object')}")
    parts = [loss for loss in report.losses if loss.tensors]
    if parts:
        click.echo(f"LOST: parts of {text.count(len(parts), 'checkpoint')}; the rest of them loads as partial")
    if len(report.losses) > len(parts):
        click.echo(f"LOST: notes of {text.count(len(report.losses) - len(parts), 'checkpoint')}")
