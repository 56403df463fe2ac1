"""Errors → one line on stderr and an exit code. No traceback, unless CKSTORE_TRACEBACK=1 asks for it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

import click

from ckstore.cli.text import printable
from ckstore.errors import CkError, ConflictError, NotFoundError, UsageError

OK = 0
DIFFERENCE = 1
USAGE = 2
NOT_FOUND = 3
CONFLICT = 4
STORAGE = 5
BUG = 70
INTERRUPTED = 130
PIPE_CLOSED = 141

_CODES: tuple[tuple[type[CkError], int], ...] = (
    (UsageError, USAGE),
    (NotFoundError, NOT_FOUND),
    (ConflictError, CONFLICT),
)


class PipeClosed(Exception):
    """Whoever read our output has gone. Not an OSError, because click would turn that into exit 1."""


def exit_code(error: CkError) -> int:
    """The exit code of a ckstore error; every class that is not the caller's own doing is STORAGE."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), STORAGE)


def guarded(run: Callable[[], object]) -> int:
    """Call `run`; return its int result (None: OK), or report what it raised and return the code for that."""
    try:
        result = run()
    except Exception as error:
        return _report(error)
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    return result if isinstance(result, int) else OK


def _report(error: Exception) -> int:
    if isinstance(error, PipeClosed):
        # The interpreter flushes stdout once more when it ends; that must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return PIPE_CLOSED
    if os.environ.get("CKSTORE_TRACEBACK") == "1":
        traceback.print_exception(error)
    if isinstance(error, click.Abort):
        return _say("interrupted", INTERRUPTED)
    if isinstance(error, click.ClickException):
        return _say(_usage(error), USAGE)
    if isinstance(error, CkError):
        return _say(str(error), exit_code(error))
    if isinstance(error, OSError):
        return _say(_system(error), STORAGE)
    if isinstance(error, MemoryError):
        return _say("not enough memory", STORAGE)
    bug = f"a bug in ckstore: {type(error).__name__}: {error}"
    return _say(f"{bug} (CKSTORE_TRACEBACK=1 shows where)", BUG)


def _usage(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f" (try `{context.command_path} --help`)" if context is not None else ""
    return error.format_message().rstrip(".") + hint


def _system(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename is not None else reason


def _say(message: str, code: int) -> int:
    line = printable(" ".join(message.split("\n")))
    print(f"ckstore: error: {line}" if code != INTERRUPTED else f"ckstore: {line}", file=sys.stderr)
    return code
