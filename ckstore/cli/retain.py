"""`keep` and `thin`: delete and shrink checkpoints by rules, or one by hand. Both say what they would do, then ask."""

from __future__ import annotations

import sys
from typing import Any

import click

from ckstore import api
from ckstore.cli import output, quantity, text
from ckstore.cli.common import command, reading, ref_argument, store_argument, writing
from ckstore.cli.output import Column
from ckstore.engine.reports import KeepReport, Kept, ThinReport
from ckstore.errors import UsageError

_yes = click.option("--yes", is_flag=True, help="Do not ask. Needed where there is no terminal to ask on.")
_COLUMNS = Column("ref"), Column("id"), Column("becomes"), Column("why", wrap=True)


@command("ckstore keep runs/store --last 5 --best loss:min:3 --every 1000 --dry-run")
@store_argument
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="The newest N of each run stay.")
@click.option("--best", multiple=True, metavar="METRIC:min|max:N", help="The N best of each run stay; may be repeated.")
@click.option("--every", type=click.IntRange(min=1), metavar="N", help="Steps divisible by N stay.")
@click.option("--ttl", metavar="TIME", help="What is younger stays: 90m, 12h, 7d, 2w.")
@click.option("--tagged", is_flag=True, help="Only what has a tag stays. Tagged checkpoints always stay.")
@click.option("--quota", metavar="SIZE", help="Then the oldest go until the store fits: 500MiB, 20GiB.")
@click.option("--thin", multiple=True, metavar="PATTERN", help="Dropped from what stays but is older: 'optimizer.*'.")
@click.option("--thin-beyond", type=click.IntRange(min=1), metavar="N", help="Not from the newest N. Default: --last.")
@click.option("--run", metavar="RUN", help="Only this run; the quota is that of the whole store.")
@_yes
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted, thinned and freed.")
def keep(path: str, yes: bool, dry_run: bool, as_json: bool, **rules: Any) -> None:
    """Keep the checkpoints that any of the rules keeps, and delete all others. Their bytes go with `ckstore gc`.

    The newest checkpoint of a run that checks out is never touched, nor is one with a tag. A quota comes last and
    takes the oldest, whatever rule keeps them.

    JSON: dry_run, checkpoints: [{ref, id, action: kept, deleted or thinned, reasons}], freed_bytes, over_quota_bytes,
    time.
    """
    policy = _policy(**rules)
    with reading(path) if dry_run else writing(path) as store:
        with output.working("choosing"):
            report = store.keep(policy, dry_run=True)
        if not as_json:
            _print_plan(report)
        does = len(report.checkpoints) > len(report.of("kept"))
        if does and not dry_run:
            if not (yes or _agreed(as_json)):
                output.note("nothing deleted")
                return
            report = store.keep(policy, agreed=report)
    if as_json:
        output.print_json({**report.to_dict(), "dry_run": dry_run})
    elif does and not dry_run:
        click.echo(f"{_summary(report, done=True)}; `ckstore gc {path}` frees the space")


def _policy(
    last: int | None, best: tuple[str, ...], every: int | None, ttl: str | None, tagged: bool, quota: str | None,
    thin: tuple[str, ...], thin_beyond: int | None, run: str | None,
) -> api.Keep:  # fmt: skip
    return api.Keep(
        last=last, best=[quantity.best(rule) for rule in best], every=every, tagged=tagged, thin=thin,
        thin_beyond=thin_beyond, run=run, ttl_s=None if ttl is None else quantity.seconds(ttl),
        quota_bytes=None if quota is None else quantity.size(quota),
    )  # fmt: skip


def _print_plan(report: KeepReport) -> None:
    if report.checkpoints:
        output.print_table(_COLUMNS, [_row(one) for one in report.checkpoints])
    click.echo(f"{_summary(report, done=False)}, {text.size(report.freed_bytes)} for gc to free at least")
    if report.over_quota_bytes:
        over = text.size(report.over_quota_bytes)
        output.note(f"{over} over the quota all the same: what is left is tagged, protected, or shared")


def _row(one: Kept) -> list[str]:
    return [one.ref, one.id[:12], one.action, ", ".join(one.reasons)]


def _summary(report: KeepReport, done: bool) -> str:
    n_deleted, n_thinned = len(report.of("deleted")), len(report.of("thinned"))
    said = f"{'deleted' if done else 'to delete:'} {text.count(n_deleted, 'checkpoint')}"
    return said + (f", {'thinned' if done else 'to thin:'} {n_thinned:,}" if n_thinned else "")


def _agreed(as_json: bool) -> bool:
    if as_json or not sys.stdin.isatty():
        raise UsageError("this needs --yes where there is nobody to ask; nothing was changed")
    return click.confirm("go on?", default=False)


@command("ckstore thin runs/store main@100 --drop 'optimizer.*'")
@store_argument
@ref_argument
@click.option("--drop", multiple=True, required=True, metavar="PATTERN", help="Leaves to drop; may be repeated.")
@_yes
@click.option("--dry-run", is_flag=True, help="Only say what would be dropped and freed.")
def thin(path: str, ref: str, drop: tuple[str, ...], yes: bool, dry_run: bool, as_json: bool) -> None:
    """Drop the leaves of checkpoint REF whose dotted path matches, and keep the rest under the same id.

    JSON: dry_run, plan: {ref, id, drop, n_tensors, logical_bytes, freed_bytes}, checkpoint: as in `ls`, as it is then.
    """
    with reading(path) if dry_run else writing(path) as store:
        checkpoint = store.checkpoint(ref)
        plan = store.freed_by_thin(checkpoint, drop)
        if not as_json:
            _print_thin(plan)
        if not dry_run:
            if not (yes or _agreed(as_json)):
                output.note("nothing dropped")
                return
            checkpoint = store.thin(checkpoint, drop)
    if as_json:
        output.print_json({"dry_run": dry_run, "plan": plan.to_dict(), "checkpoint": checkpoint.to_dict()})
    elif not dry_run:
        click.echo(f"thinned {checkpoint.ref}; `ckstore gc {path}` frees the space")


def _print_thin(plan: ThinReport) -> None:
    what = f"{text.count(plan.n_tensors, 'tensor')}, {text.size(plan.logical_bytes)} logical"
    click.echo(f"{plan.ref} loses {what}, {text.size(plan.freed_bytes)} for gc to free at least")
