"""The demo's side of its child processes: start one, follow its events, kill it without warning."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter, sleep
from typing import Any

from ckstore.cli.demo_plan import THREADS, Plan
from ckstore.cli.failure import BUG

Event = dict[str, Any]

# The very modules that this process uses: with `-m`, a stray random.py in the working directory would come first.
_CHILD = "import sys; sys.path[:] = {path}; from ckstore.cli.demo_child import main; main()"

# Passive waiting: two threads that spin for each other on busy cores train ten times slower.
_ENVIRONMENT = {"OMP_NUM_THREADS": str(THREADS), "OMP_DYNAMIC": "FALSE", "OMP_WAIT_POLICY": "PASSIVE"}


class ChildFailed(Exception):
    """A child ended with an error of its own. code: its exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code if 0 < code < 128 else BUG


@dataclass
class Log:
    """All that one child told. losses: by step, as the hexadecimal form of the float."""

    start: Event = field(default_factory=dict)
    losses: dict[int, str] = field(default_factory=dict)
    peers: list[Event] = field(default_factory=list)
    saved: list[Event] = field(default_factory=list)
    loaded: list[Event] = field(default_factory=list)
    compared: list[Event] = field(default_factory=list)
    last: Event = field(default_factory=dict)
    killed: bool = False
    seconds: float = 0.0

    def add(self, event: Event) -> None:
        """Sort one event into its place."""
        self.last = event
        if event["event"] == "start":
            self.start = event
        elif event["event"] == "step":
            self.losses[event["step"]] = event["loss"]
        elif event["event"] != "saving":
            getattr(self, event["event"]).append(event)


class Killer:
    """Chooses, by the system's randomness, when to kill: in the middle of the run, in training or in a save."""

    def __init__(self, plan: Plan) -> None:
        self._chance = random.SystemRandom()
        self._step = self._chance.randint(plan.steps * 2 // 5, plan.steps * 3 // 5)
        self._phase = self._chance.choice(["step", "saving"])
        self._previous = perf_counter()
        self._durations: list[float] = []

    def due(self, event: Event) -> bool:
        """Whether this is the event to kill after; if so, returns only at a random moment of what follows it."""
        now = perf_counter()
        if event["event"] == ("saved" if self._phase == "saving" else "step"):
            self._durations.append(now - self._previous)
        self._previous = now
        if event["event"] != self._phase or event["step"] < self._step:
            return False
        typical = sorted(self._durations)[len(self._durations) // 2] if self._durations else 0.0
        sleep(self._chance.uniform(0, typical))
        return True


def follow(role: str, plan: Plan, on_event: Callable[[Event], None], killer: Killer | None = None) -> Log:
    """Run one role in a new process to its end, or until `killer` has it killed with SIGKILL. Returns its log."""
    log, begin, kill_wanted = Log(), perf_counter(), killer is not None
    with tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-c", _CHILD.format(path=sys.path), role, plan.dumps()]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=errors, env=os.environ | _ENVIRONMENT, text=True)
        try:
            for event in _events(process):
                log.add(event)
                on_event(event)
                if killer is not None and killer.due(event):
                    process.kill()
                    killer = None  # what it wrote before it died is still in the pipe: read on
            code = process.wait()
        finally:
            process.kill()
            process.wait()
        log.killed = kill_wanted and killer is None and code == -signal.SIGKILL
        if code != 0 and not log.killed:
            errors.seek(0)
            raise ChildFailed(_reason(errors.read(), role, code), code)
    log.seconds = perf_counter() - begin
    return log


def _events(process: subprocess.Popen[str]) -> Iterator[Event]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.endswith("\n"):  # a killed process may leave half a line
            yield json.loads(line)


def _reason(errors: str, role: str, code: int) -> str:
    lines = [line for line in errors.splitlines() if line.strip()]
    last = lines[-1].removeprefix("ckstore: error: ") if lines else f"exit code {code}"
    return f"the demo's {role!r} process failed: {last}"
