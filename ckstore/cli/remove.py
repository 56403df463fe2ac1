"""`rm` and `gc`: delete checkpoints, then free the bytes nothing needs any more. Both say what before and after."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from ckstore import api
from ckstore.cli import output, text
from ckstore.cli.common import command, reading, store_argument, writing
from ckstore.engine.reports import FreedReport, GcReport
from ckstore.errors import ConflictError, UsageError


@command("ckstore rm runs/store main@100 main@200 --yes")
@store_argument
@click.argument("refs", metavar="REF...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask. Needed where there is no terminal to ask on.")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted and freed.")
def rm(path: str, refs: tuple[str, ...], yes: bool, dry_run: bool, as_json: bool) -> None:
    """Delete checkpoints. Their bytes stay on disk until `ckstore gc` frees those that no other checkpoint needs.

    JSON: dry_run, deleted: [the checkpoint as in `ls`], exclusive_bytes: what gc can free for it, damaged: [ref] of
    checkpoints whose needs cannot be read.
    """
    with reading(path) if dry_run else writing(path) as store:
        doomed = _resolved(store, refs)
        with output.working("adding up"):
            freed = store.freed_by(doomed)
        if not as_json:
            _announce(doomed, freed)
        if not dry_run and not (yes or _agreed(as_json)):
            output.note("nothing deleted")
            return
        for checkpoint in doomed if not dry_run else ():
            store.delete(checkpoint.id)
    if as_json:
        deleted = [checkpoint.to_dict() for checkpoint in doomed]
        output.print_json({"dry_run": dry_run, "deleted": deleted, **freed.to_dict()})
    elif not dry_run:
        click.echo(f"deleted {text.count(len(doomed), 'checkpoint')}; `ckstore gc {path}` frees the space")


def _resolved(store: api.Store, refs: Sequence[str]) -> list[api.Checkpoint]:
    """Every reference resolved before anything is deleted: `latest` must not move under our feet."""
    found = {checkpoint.id: checkpoint for checkpoint in map(store.checkpoint, refs)}
    for checkpoint in found.values():
        if checkpoint.tags:
            names = " ".join(checkpoint.tags)
            raise ConflictError(f"{checkpoint.ref} is tagged {names}: untag it first; nothing was deleted")
    return list(found.values())


def _announce(doomed: Sequence[api.Checkpoint], freed: FreedReport) -> None:
    for checkpoint in doomed:
        click.echo(f"{checkpoint.ref}  {checkpoint.id[:12]}  {text.moment(checkpoint.time)}")
    click.echo(f"deleting frees {text.size(freed.exclusive_bytes)}; what else they use, other checkpoints need too")
    output.note_damaged(freed.damaged)


def _agreed(as_json: bool) -> bool:
    if as_json or not sys.stdin.isatty():
        raise UsageError("deleting needs --yes where there is nobody to ask; nothing was deleted")
    return click.confirm("delete?", default=False)


@command("ckstore gc runs/store --dry-run")
@store_argument
@click.option("--dry-run", is_flag=True, help="Only say what would be freed.")
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for writers that are at work.",
)
def gc(path: str, dry_run: bool, grace: float, as_json: bool) -> None:
    """Free the bytes that no checkpoint needs. Safe while others save and load.

    JSON: dry_run, condemned_objects, condemned_bytes, deleted_objects, freed_bytes, waiting_writers,
    dropped_segments, unjudged_leases.
    """
    with reading(path) if dry_run else writing(path) as store:
        if dry_run or not as_json:
            plan = store.gc(dry_run=True, grace_s=grace)
        if not as_json:
            click.echo(_planned(plan))
        if not dry_run:
            with output.working("collecting"):
                report = store.gc(grace_s=grace)
    if as_json:
        output.print_json((plan if dry_run else report).to_dict())
    elif not dry_run:
        _print_freed(report, path)


def _planned(plan: GcReport) -> str:
    if not plan.condemned_objects:
        return "nothing to free"
    return f"{text.size(plan.condemned_bytes)} to free, in {text.count(plan.condemned_objects, 'file')}"


def _print_freed(report: GcReport, path: str) -> None:
    click.echo(f"freed {text.size(report.freed_bytes)}, {text.count(report.deleted_objects, 'file')}")
    if report.waiting_writers:
        waiting = text.count(report.waiting_writers, "writer is", "writers are")
        output.note(f"{waiting} still at work on older data: run `ckstore gc {path}` again when done")
    if report.dropped_segments:
        dropped = text.count(report.dropped_segments, "damaged segment")
        output.note(f"{dropped} dropped: all chunks stay readable, future saves may store some of them again")
    if report.unjudged_leases:
        leases = text.count(report.unjudged_leases, "writer of another host", "writers of other hosts")
        output.note(f"{leases} may be dead or alive: `ckstore gc {path} --grace 60` watches long enough to tell")
