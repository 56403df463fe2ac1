"""`verify`: read the store and say what is damaged."""

from __future__ import annotations

import click

from ckstore.cli import output, text
from ckstore.cli.common import command, reading, store_argument
from ckstore.cli.failure import DIFFERENCE, OK
from ckstore.cli.output import Column
from ckstore.engine.health.verify import unopened
from ckstore.engine.reports import Damage, VerifyReport
from ckstore.errors import CorruptError


@command("ckstore verify runs/store --level data")
@store_argument
@click.option(
    "--level",
    type=click.Choice(["structure", "stored", "data"]),
    default="stored",
    show_default=True,
    help="structure: metadata only. stored: also every stored byte. data: also decode everything.",
)
def verify(path: str, level: str, as_json: bool) -> int:
    """Check the store and name what is damaged and which checkpoints need it. Exit code 1 if anything is.

    JSON: level, ok, checked_objects, checked_bytes, damages: [{object, problem, checkpoints, tensors: {ref: [path]}}].
    """
    report = _report(path, level)
    if as_json:
        output.print_json(report.to_dict())
    else:
        _print(report)
    return OK if report.ok else DIFFERENCE


def _report(path: str, level: str) -> VerifyReport:
    try:
        with reading(path) as store, output.working(f"verifying {level}"):
            return store.verify(level=level)
    except CorruptError as error:  # nobody can open a store whose newest root is damaged: that is the report
        return unopened(error, level)


def _print(report: VerifyReport) -> None:
    checked = f"{text.count(report.checked_objects, 'object')}, {text.size(report.checked_bytes)}"
    if report.ok:
        click.echo(f"ok: no damage found, {report.level} of {checked}")
        return
    columns = Column("object"), Column("problem", wrap=True), Column("touches", wrap=True)
    rows = [(damage.object, damage.problem, _touched(damage)) for damage in report.damages]
    output.print_table(columns, rows)
    click.echo(
        f"DAMAGED: {text.count(len(report.damages), 'object')} of {checked}; `ckstore repair` says what can be done"
    )


def _touched(damage: Damage) -> str:
    """Every checkpoint that is touched, with the tensors of it."""
    named = (f"{ref}: {' '.join(damage.tensors.get(ref, []))}".rstrip(": ") for ref in damage.checkpoints)
    return "; ".join(named) or "-"
