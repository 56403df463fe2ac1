"""What the demo says while it runs: a bar on a terminal, plain lines elsewhere, nothing but the end with --json."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ckstore.cli.demo_process import Event

PLAIN_LINES = 4


class Show:
    """Progress goes to stderr, what happened goes to stdout unless `quiet`."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def say(self, line: str = "") -> None:
        """One line of the story."""
        if not self.quiet:
            click.echo(line)

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[Event], None]]:
        """Give a function that takes a child's events and shows how far it is."""
        if sys.stderr.isatty():
            console = Console(stderr=True)
            with Progress(*_columns(), console=console, transient=True, redirect_stdout=False) as bar:
                task = bar.add_task(what, total=total, loss="")
                yield lambda event: _advance(bar, task, event)
        elif self.quiet:
            yield lambda _: None
        else:
            yield lambda event: _plain(what, total, event)


def _columns() -> tuple[TextColumn, BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn]:
    columns = TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn()
    return *columns, TextColumn("{task.fields[loss]}"), TimeElapsedColumn()


def _advance(bar: Progress, task: TaskID, event: Event) -> None:
    if event["event"] == "step":
        bar.update(task, completed=event["step"], loss=f"loss {float.fromhex(event['loss']):.3f}")
    elif event["event"] == "loaded":
        bar.update(task, advance=1)


def _plain(what: str, total: int, event: Event) -> None:
    if event["event"] == "step" and event["step"] % max(1, total // PLAIN_LINES) == 0:
        loss = float.fromhex(event["loss"])
        click.echo(f"      {what}: step {event['step']} of {total}, loss {loss:.3f}", err=True)
