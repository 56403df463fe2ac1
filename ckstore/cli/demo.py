"""`demo`: train, save, get killed, resume, compare with a run that was not, count the bytes, delete, collect."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from ckstore.cli import output
from ckstore.cli.common import command
from ckstore.cli.demo_plan import Plan
from ckstore.cli.demo_process import ChildFailed
from ckstore.cli.demo_show import Show
from ckstore.cli.demo_story import Story
from ckstore.cli.failure import DIFFERENCE, OK
from ckstore.errors import UnsupportedError, UsageError

MARKER = "ckstore-demo.json"
TINY = {"width": 32, "layers": 2, "batch": 4, "context": 32}


@command("ckstore demo /tmp/ckstore-demo")
@click.argument("directory", metavar="[DIR]", default="ckstore-demo", type=click.Path(path_type=Path))
@click.option("--steps", default=120, show_default=True, type=click.IntRange(min=1), help="Length of the training.")
@click.option("--every", default=5, show_default=True, type=click.IntRange(min=1), help="Steps between checkpoints.")
@click.option("--tiny", is_flag=True, hidden=True, help="A model of no use but quick.")
def demo(directory: Path, steps: int, every: int, tiny: bool, as_json: bool) -> int:
    """Show on this machine what ckstore does, with a real training run of a small transformer.

    The run saves its whole state every few steps, is killed (SIGKILL) without warning, resumes in a new process, and
    must end with the very bits of a run that was left alone. Then: what it takes on disk, against torch.save; half the
    checkpoints deleted; the space freed. The store stays in DIR/store to explore. Takes about a minute.

    JSON: directory, ok, problems, parameters, killed_at, resumed_from, n_losses, n_leaves, sizes, deleted, freed_bytes,
    kept_bytes, seconds.
    """
    if find_spec("torch") is None:
        raise UnsupportedError("the demo trains with PyTorch, which is not installed: pip install torch")
    if steps % every or steps // every < 4:
        raise UsageError(f"--steps {steps} must be --every {every} times 4 or more")
    begin = perf_counter()
    plan = Plan(str(directory.resolve()), steps, every, **(TINY if tiny else {}))
    _prepare(directory, plan)
    report, code = _run(plan, Show(quiet=as_json))
    report["seconds"] = perf_counter() - begin
    (directory / MARKER).write_text(output.as_json(report))
    if as_json:
        output.print_json(report)
    else:
        _farewell(report)
    return code


def _prepare(directory: Path, plan: Plan) -> None:
    """An empty directory, or that of an earlier demo: its store and copies go, and nothing else does."""
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is not a directory")
    if directory.exists() and any(directory.iterdir()) and not (directory / MARKER).is_file():
        raise UsageError(f"{directory} is not empty and not of an earlier demo: name another directory")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MARKER).write_text("{}")
    for old in (plan.store, plan.copies):
        shutil.rmtree(old, ignore_errors=True)


def _run(plan: Plan, show: Show) -> tuple[dict[str, Any], int]:
    story, code = Story(plan, show), OK
    try:
        story.tell()
    except ChildFailed as failure:
        story.problems.append(str(failure))
        code = failure.code
    finally:
        shutil.rmtree(plan.copies, ignore_errors=True)
    return story.report(), code or (DIFFERENCE if story.problems else OK)


def _farewell(report: dict[str, Any]) -> None:
    if not report["ok"]:
        for problem in report["problems"]:
            output.note(f"ckstore: error: demo: {problem}")
        return
    store = f"{report['directory']}/store"
    click.echo(f"\nDone in {report['seconds']:.0f} s. The store is yours to explore:")
    for line in (
        f"ckstore ls {store}",
        f"ckstore show {store} latest 'model.*'",
        f"ckstore du {store}",
        f"ckstore export {store} main@min:loss best.safetensors --select 'model.*' --strip-prefix model.",
    ):
        click.echo(f"  {line}")
