"""`rm` and `gc`: delete checkpoints, then free the bytes nothing needs any more. Both have a dry run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import click

from ckstore import api
from ckstore.cli import output, quantity, text
from ckstore.cli.common import command, reading, store_argument, writing
from ckstore.cli.output import Column
from ckstore.engine.reports import CheckpointPlan, FreedReport, GcReport
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
@click.option("--dry-run", is_flag=True, help="Only say what would be freed, now and by deleting each checkpoint.")
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for writers that are at work.",
)
@click.option("--expire-writers", is_flag=True, help="Wait for no writer: those at work must save again.")
@click.option("--emergency", is_flag=True, help="The disk is full: give up the reserve, write next to nothing.")
@click.option("--max-repack", metavar="SIZE", help="Move at most so much to free more. Default: a tenth of the store.")
@click.option(
    "--archive", type=click.IntRange(min=0), metavar="N", help="Encode all but the newest N of each run again."
)
def gc(
    path: str, dry_run: bool, grace: float, expire_writers: bool, emergency: bool, max_repack: str | None,
    archive: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Free the bytes that no checkpoint needs. Safe while others save and load.

    --archive encodes old checkpoints again as hard as the codec can, where that saves 1 %: of checkpoints saved at the
    level `fast` some 4 %, of `balanced` ones next to nothing. It takes 2 to 4 minutes of one core a GiB, half a minute
    where nothing is to be gained. It may be stopped; what was tried once is not tried again.

    JSON: dry_run, condemned_objects, condemned_bytes, deleted_objects, freed_bytes, waiting_writers,
    dropped_segments, unjudged_leases, repacked_packs, repacked_bytes, repack_frees_bytes, rebased_frames,
    rebased_bytes, archive_checkpoints, archive_tried_bytes, archived_frames, archived_bytes, archive_saved_bytes,
    support_bytes, unmovable: [text], stopped, checkpoints (dry run): [{id, ref, freed_bytes, support_bytes,
    rebase_bytes, damaged}].
    """
    most = None if max_repack is None else quantity.size(max_repack)
    with reading(path) if dry_run else writing(path) as store, output.working("collecting") as tell:
        report = store.gc(
            dry_run, grace, expire_writers, emergency=emergency, max_repack_bytes=most, archive=archive, progress=tell
        )
    if as_json:
        output.print_json(report.to_dict())
    elif dry_run:
        _print_plan(report)
    else:
        _print_freed(report, path)


_PLAN = (
    Column("ref"), Column("id"), Column("frees", number=True), Column("held by deltas", number=True),
    Column("to rebase", number=True),
)  # fmt: skip


def _print_plan(plan: GcReport) -> None:
    """What gc would do, then what deleting each checkpoint would do."""
    if plan.checkpoints:
        output.print_table(_PLAN, [_row(one) for one in plan.checkpoints])
    freed, n_files = plan.condemned_bytes, text.count(plan.condemned_objects, "file")
    click.echo(f"{text.size(freed)} to free now, in {n_files}" if plan.condemned_objects else "nothing to free now")
    if plan.repacked_packs:
        packs = text.count(plan.repacked_packs, "pack")
        moved = text.size(plan.repacked_bytes)
        click.echo(f"{text.size(plan.repack_frees_bytes)} more in {packs}, out of which {moved} must be moved first")
    if plan.support_bytes:
        rebased = f"; {text.size(plan.rebased_bytes)} to write would let go of some" if plan.rebased_frames else ""
        click.echo(f"{text.size(plan.support_bytes)} of deleted checkpoints stay as bases of others{rebased}")
    if plan.archive_checkpoints:
        n, most = text.count(plan.archive_checkpoints, "checkpoint"), text.size(plan.archive_tried_bytes)
        click.echo(f"{n} to archive: at most {most} to encode again")


def _row(one: CheckpointPlan) -> list[str]:
    if one.damaged:
        return [one.ref, one.id[:12], text.size(one.freed_bytes), "damaged", "damaged"]
    return [one.ref, one.id[:12], *map(text.size, (one.freed_bytes, one.support_bytes, one.rebase_bytes))]


def _print_freed(report: GcReport, path: str) -> None:
    click.echo(f"freed {text.size(report.freed_bytes)}, {text.count(report.deleted_objects, 'file')}")
    moved = report.repacked_bytes + report.rebased_bytes
    if moved:
        click.echo(f"moved {text.size(moved)}, so that what lay between could be freed")
    if report.archive_checkpoints or report.archived_frames:
        n, tried = text.count(report.archive_checkpoints, "checkpoint"), text.size(report.archive_tried_bytes)
        frames = text.count(report.archived_frames, "frame")
        click.echo(f"archived {n}: {tried} encoded again, {frames} now {text.size(report.archive_saved_bytes)} smaller")
    for message in _notes(report, path):
        output.note(message)


def _notes(report: GcReport, path: str) -> Iterator[str]:
    if report.waiting_writers:
        waiting = text.count(report.waiting_writers, "writer is", "writers are")
        yield f"{waiting} still at work on older data: run `ckstore gc {path}` again when done"
    if report.dropped_segments:
        dropped = text.count(report.dropped_segments, "segment")
        yield f"{dropped} dropped: all chunks stay readable, future saves may store some of them again"
    if report.unjudged_leases:
        leases = text.count(report.unjudged_leases, "writer of another host", "writers of other hosts")
        yield f"{leases} may be dead or alive: `ckstore gc {path} --grace 60` watches long enough to tell"
    if report.unmovable:
        places = text.count(len(report.unmovable), "damaged place")
        yield f"{places} left as it is, first {report.unmovable[0]}: `ckstore verify {path}` tells whom that concerns"
    if report.stopped:
        yield f"no room to move what would free more ({report.stopped}): run `ckstore gc {path}` again"
