"""Rows → a table on stdout, records → JSON on stdout, and a spinner on stderr while something is slow.

Every text passes `printable` on its way out. INVARIANT: no reference and no id is ever wrapped or cut.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from threading import Timer
from typing import Any, Literal

import click
from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ckstore.cli.text import printable

SPINNER_AFTER_S = 1.0
GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. number: to the right. wrap: may be folded on a narrow terminal, between words."""

    title: str
    number: bool = False
    wrap: bool = False


def print_json(record: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout."""
    click.echo(as_json(record))


def as_json(record: Mapping[str, Any]) -> str:
    """A JSON object, keys in their own order; NaN and infinities become strings, times ISO 8601 in UTC."""
    return json.dumps(_plain(record), indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print `rows` below their titles. Piped: one line a row, whatever its length."""
    cells = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(columns, cells)
    else:
        _print_plain(columns, [[column.title for column in columns], *cells])


def _print_plain(columns: Sequence[Column], lines: list[list[str]]) -> None:
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for line in lines:
        padded = [
            cell.rjust(width) if column.number else cell.ljust(width)
            for column, cell, width in zip(columns, line, widths, strict=True)
        ]
        click.echo((" " * GAP).join(padded).rstrip())


def _print_rich(columns: Sequence[Column], rows: list[list[str]]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold underline")
    needed = 0
    for position, column in enumerate(columns):
        cells = [column.title, *(row[position] for row in rows)]
        words = [word for cell in cells for word in cell.split()] if column.wrap else cells
        width = max(map(cell_len, words))
        justify: Literal["left", "right"] = "right" if column.number else "left"
        table.add_column(Text(column.title), justify=justify, no_wrap=not column.wrap, min_width=width)
        needed += width + GAP
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(file=StringIO(), force_terminal=True)
    console.width = max(console.width, needed)
    with console.capture() as captured:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in captured.get().strip("\n").split("\n")))


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print `name  value` lines, values aligned."""
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        click.echo(f"{printable(name):<{width}}  {printable(value)}".rstrip())


def note(message: str) -> None:
    """One line for the person, on stderr, out of the way of whatever reads stdout."""
    click.echo(printable(message), err=True)


def note_damaged(refs: Sequence[str]) -> None:
    """Say which checkpoints keep gc from its work, if any do."""
    if refs:
        note(f"damaged: {' '.join(refs)}: what they need cannot be read, and gc frees nothing until they are deleted")


@contextmanager
def working(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show `what`, a spinner and the time on stderr, if it is a terminal and the block takes over a second.

    Yields what the block may tell its progress: (done, total, what), total 0 for unknown.
    """
    if not sys.stderr.isatty():
        yield lambda done, total, what: None
        return
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    console = Console(stderr=True)
    progress = Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
    task = progress.add_task(Text(printable(what)).plain, total=None)

    def tell(done: int, total: int, what: str) -> None:
        share = f", {100 * done // total} %" if total else ""
        progress.update(task, description=Text(printable(what)).plain + share)

    timer = Timer(SPINNER_AFTER_S, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield tell
    finally:
        timer.cancel()
        timer.join()
        progress.stop()
