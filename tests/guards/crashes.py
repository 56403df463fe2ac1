"""Scenarios of power loss: something is done to a store, and what any crash leaves of it must be whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ckstore.cli import replace
from tests.crash.images import every_crash, record
from tests.crash.promises import check_image, promise_before
from tests.crash.scenarios import SCENARIOS, STORE, Play, fill, first_save
from tests.support.door import Door, Op, quickly
from tests.support.marks import Promise
from tests.support.recording import Image, Log, Recorder, read_image

SHARP = ("nothing unsynced", "names without bytes", "only the newest name", "later names")
"""The kinds of crash that a lost sync shows at."""


def _crash_in(what: str, fast_path: Path) -> None:
    scenario = SCENARIOS[what]
    check_crashes(*record(fast_path / "live", scenario), promise_before(scenario), fast_path / "image")


def crash_in(what: str) -> partial[None]:
    """What crashes leave of a scenario of tests/crash."""
    return partial(_crash_in, what=what)


def check_crashes(before: Image, log: Log, promise: Promise, path: Path) -> None:
    """Check what each crash of a sharp kind leaves, equal images once."""
    moments = [one for one in every_crash(log, before, promise, "guards") if any(kind in one.what for kind in SHARP)]
    with quickly():
        for moment in {one.key: one for one in moments}.values():
            check_image(moment.promise, moment.image, path, go_on=False)


def a_store_that_a_copy_has_emptied_is_made_whole(fast_path: Path) -> None:
    """Empty directories are lost by some ways of copying; the next save makes them, and their names certain."""
    live = fast_path / "live"
    fill(live / STORE)
    for name in os.listdir(live / STORE):
        if os.path.isdir(live / STORE / name) and not os.listdir(live / STORE / name):
            os.rmdir(live / STORE / name)
    before, recorder = read_image(live), Recorder(live)
    with recorder.installed():
        first_save(Play(live / STORE, recorder))
    check_crashes(before, recorder.log, Promise(), fast_path / "image")


class Order(Door):
    """Notes in which order files and directories are synced and named."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, bool]] = []

    def pass_through(self, op: Op, call: Callable[[], Any]) -> Any:
        if op.verb in ("sync", "rename"):
            self.seen.append((op.verb, os.path.isdir(op.path)))
        return super().pass_through(op, call)

    def replace(self, source: str, path: str) -> None:
        """A rename that may replace."""
        self._passed(Op("rename", str(source), str(path)), lambda: os.replace(source, path))


def an_exported_file_is_certain_when_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes before its name, and its name before the command ends."""
    order = Order()
    monkeypatch.setattr(replace, "os", order)
    with replace.replacing(tmp_path / "out", overwrite=True) as temporary:
        temporary.write_bytes(b"whole")
    assert order.seen == [("sync", False), ("rename", False), ("sync", True)]
