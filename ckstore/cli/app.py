"""The group of all commands, and the one place where an error becomes an exit code."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import click

from ckstore import __version__
from ckstore.cli.check import verify
from ckstore.cli.demo import demo
from ckstore.cli.export import export
from ckstore.cli.failure import PipeClosed, guarded
from ckstore.cli.labels import annotate, tag, untag
from ckstore.cli.listing import init, ls, stats
from ckstore.cli.mend import repair
from ckstore.cli.remove import gc, rm
from ckstore.cli.retain import keep, thin
from ckstore.cli.show import show
from ckstore.cli.usage import du


class App(click.Group):
    """A group whose commands return an exit code (None: 0) and may raise any ckstore error."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run one command line; in standalone mode exit with its code, otherwise let errors through."""
        run = partial(super().main, args, prog_name, complete_var, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        if isinstance(sys.stdout, io.TextIOWrapper):  # a letter that the locale lacks must not end a command
            sys.stdout.reconfigure(errors="backslashreplace")
        sys.exit(guarded(run))

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the arguments, which prints already where they ask for help."""
        with _noticing_a_closed_pipe():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _noticing_a_closed_pipe():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands in the order a person meets them, not by the alphabet."""
        return list(self.commands)


@contextmanager
def _noticing_a_closed_pipe() -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise PipeClosed from error


@click.group(
    cls=App,
    name="ckstore",
    epilog="Exit codes: 0 ok · 1 damage or difference found · 2 usage · 3 not found · 4 conflict · 5 storage or "
    "format · 70 a bug in ckstore · 130 interrupted.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="ckstore", message="%(prog)s %(version)s")
def main() -> None:
    """Keep every training checkpoint, bit-exact, at the cost of what changed.

    STORE is the directory of a store. REF names a checkpoint: `latest`, RUN@STEP, RUN@latest, RUN@min:METRIC,
    RUN@max:METRIC, a tag, or the first 6 or more digits of an id. Every command takes --json.

    Example: ckstore demo   (trains, saves, kills itself, resumes; then: ckstore ls ckstore-demo/store)
    """


for _command in (init, demo, ls, show, stats, du, tag, untag, annotate, rm, keep, thin, gc, verify, repair, export):
    main.add_command(_command)
