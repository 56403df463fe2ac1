"""Rows → a table on stdout, records → JSON on stdout, and a spinner on stderr while something is slow.

Every text passes `printable` on its way out. INVARIANT: no reference and no id is ever wrapped or cut.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
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
    terminal = sys.stdout.isatty()
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold underline")
    needed = 0
    for position, column in enumerate(columns):
        fold = column.wrap and terminal
        cells = [printable(row[position]) for row in rows]
        width = max(map(cell_len, _words(column.title, *cells) if fold else [column.title, *cells]))
        justify: Literal["left", "right"] = "right" if column.number else "left"
        table.add_column(Text(column.title), justify=justify, no_wrap=not fold, min_width=width)
        needed += width + GAP
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    _print(table, needed, terminal)


def _words(*cells: str) -> list[str]:
    return [word for cell in cells for word in cell.split()]


def _print(table: Table, needed: int, terminal: bool) -> None:
    """Render by way of a string, so that a closed pipe and trailing blanks are handled in one place."""
    console = Console(file=StringIO(), force_terminal=terminal, no_color=not terminal or None)
    console.width = max(console.width, needed) if terminal else needed
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


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show `what`, a spinner and the time on stderr, if it is a terminal and the block takes over a second."""
    if not sys.stderr.isatty():
        yield
        return
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    console = Console(stderr=True)
    progress = Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
    progress.add_task(Text(printable(what)).plain, total=None)
    timer = Timer(SPINNER_AFTER_S, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        progress.stop()
