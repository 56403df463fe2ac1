from __future__ import annotations

import io
import json
import sys
import threading
from datetime import UTC, datetime

import pytest

from ckstore.cli import output
from ckstore.cli.output import Column

LONG = "a-run-with-a-very-long-name/" + "x" * 200 + "@123456789"
COLUMNS = (Column("ref"), Column("notes", wrap=True), Column("bytes", number=True))


class Terminal(io.StringIO):
    """A text file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_json_is_strict_even_for_values_that_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    record = {"loss": float("nan"), "most": float("inf"), "least": -float("inf"), "id": b"\x01\xff", 3: (1, None)}
    output.print_json(record | {"time": datetime(2026, 1, 2, tzinfo=UTC)})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "loss": "NaN",
        "most": "Infinity",
        "least": "-Infinity",
        "id": "01ff",
        "3": [1, None],
        "time": "2026-01-02T00:00:00Z",
    }


def test_a_piped_table_has_one_line_a_row_and_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    notes = "many words " * 30
    output.print_table(COLUMNS, [(LONG, notes, "1 B"), ("b@1", "", "20 KiB")])
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["ref", "notes", "bytes"]
    assert first.split() == [LONG, *notes.split(), "1", "B"]
    assert second.startswith("b@1 ")
    assert second.endswith(" 20 KiB")


def test_a_terminal_table_folds_notes_between_words_and_never_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    output.print_table(COLUMNS, [(LONG, "val_accuracy=0.123456 loss=2", "1 B")])
    shown = terminal.getvalue()
    assert LONG in shown
    assert "val_accuracy=0.123456" in shown


def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(COLUMNS, [("a@1", "\x1b]0;owned\x07", "[bold]1[/bold]")])
    output.print_pairs([("meta \x1b[2J", "\x1b[31m")])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[bold]1[/bold]" in shown


def test_working_says_nothing_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with output.working("reading"):
        pass
    assert capsys.readouterr() == ("", "")


def test_working_shows_a_spinner_and_takes_it_away_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, shown = Terminal(), threading.Event()
    monkeypatch.setattr(terminal, "flush", lambda: "reading" in terminal.getvalue() and shown.set())
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(output, "SPINNER_AFTER_S", 0.0)

    def fail() -> None:
        with output.working("reading"):
            assert shown.wait(timeout=60)
            raise ValueError("no luck")

    with pytest.raises(ValueError, match="no luck"):
        fail()
    hide_cursor, show_cursor = "\x1b[?25l", "\x1b[?25h"
    assert terminal.getvalue().count(hide_cursor) == terminal.getvalue().count(show_cursor) == 1


def test_working_shows_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, shown = Terminal(), threading.Event()
    monkeypatch.setattr(terminal, "flush", lambda: "moving, 25 %" in terminal.getvalue() and shown.set())
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(output, "SPINNER_AFTER_S", 0.0)
    with output.working("collecting") as tell:
        tell(0, 0, "looking")
        tell(1, 4, "moving")
        assert shown.wait(timeout=60)


def test_what_works_in_silence_may_tell_as_well() -> None:
    with output.working("collecting") as tell:
        tell(1, 4, "moving")
