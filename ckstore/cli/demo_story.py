"""The demo, chapter by chapter: each runs a process or a verb of the store, checks it, and says what it saw."""

from __future__ import annotations

from typing import Any

from ckstore import api
from ckstore.cli import demo_report, demo_verdict, text
from ckstore.cli.demo_plan import RUN, THREADS, Plan
from ckstore.cli.demo_process import Killer, Log, follow
from ckstore.cli.demo_show import Show
from ckstore.cli.listing import NOISE_NOTE


class Story:
    """Runs the chapters in order and stops at the first that fails. problems: what went wrong, in words."""

    def __init__(self, plan: Plan, show: Show) -> None:
        self.plan, self.show = plan, show
        self.problems: list[str] = []
        self.facts: dict[str, Any] = {}
        self.whole = self.first = self.second = self.checked = Log()

    def tell(self) -> None:
        """The whole demo. Raises ChildFailed."""
        for chapter in (self._unbroken, self._killed, self._resumed, self._compared, self._sizes, self._space):
            chapter()
            if self.problems:
                return

    def report(self) -> dict[str, Any]:
        """What the demo found, as the JSON object that `--json` prints."""
        return {"directory": self.plan.directory, "ok": not self.problems, "problems": self.problems, **self.facts}

    def _unbroken(self) -> None:
        with self.show.progress("left alone", self.plan.steps) as on_event:
            self.whole = follow("unbroken", self.plan, on_event)
        self.facts["parameters"] = self.whole.start["parameters"]
        first, last = (float.fromhex(self.whole.losses[step]) for step in (1, self.plan.steps))
        self.show.say(
            f"[1/6] left alone  {text.count(self.facts['parameters'], 'parameter')}, {THREADS} threads, "
            f"{text.size(self.whole.start['corpus_bytes'])} of Python's own source; {self.plan.steps} steps, "
            f"loss {first:.3f} → {last:.3f}, {self.whole.seconds:.1f} s"
        )

    def _killed(self) -> None:
        with self.show.progress("saving as it goes", self.plan.steps) as on_event:
            self.first = follow("stored", self.plan, on_event, Killer(self.plan))
        newest = self._newest()
        self.problems += demo_verdict.after_kill(self.first, newest.step if newest else 0)
        if self.problems:
            return
        last = self.first.last
        doing = "saving step" if last["event"] == "saving" else "training after step"
        self.facts["killed_at"] = f"{doing} {last['step']}"
        self.show.say(
            f"[2/6] killed      a checkpoint every {self.plan.every} steps; SIGKILL while {self.facts['killed_at']}; "
            f"newest checkpoint: {newest.ref if newest else 'none'}"
        )

    def _newest(self) -> api.Checkpoint | None:
        with api.open(self.plan.store, readonly=True) as store:
            return next(iter(reversed(store.checkpoints(RUN))), None)

    def _resumed(self) -> None:
        with self.show.progress("resumed", self.plan.steps) as on_event:
            self.second = follow("stored", self.plan, on_event)
        self.facts["resumed_from"] = self.second.start["step"]
        with api.open(self.plan.store) as store:
            left = store.gc()
        self.show.say(
            f"[3/6] resumed     in a new process from {RUN}@{self.facts['resumed_from']} to step {self.plan.steps}; "
            f"gc cleared {text.size(left.freed_bytes)} of leftovers"
        )

    def _compared(self) -> None:
        with self.show.progress("loading", len(self.plan.saves)) as on_event:
            self.checked = follow("check", self.plan, on_event)
        self.problems += demo_verdict.losses(self.plan, self.whole, self.first, self.second)
        self.problems += demo_verdict.loads(set(self.plan.saves), self.checked)
        self.problems += demo_verdict.states(self.plan.compared, self.checked)
        n_leaves = sum(event["n_leaves"] for event in self.checked.compared)
        self.facts |= {"n_losses": self.plan.steps, "n_leaves": n_leaves}
        if not self.problems:
            self.show.say(
                f"[4/6] compared    all {self.plan.steps} losses and, at steps {_listed(self.plan.compared)}, "
                f"all {n_leaves:,} values and tensors of the state: bit-identical to the run left alone"
            )

    def _sizes(self) -> None:
        self.facts["sizes"] = demo_report.sizes(self.plan, self.whole, self.first, self.second, self.checked)
        logical = text.size(self.facts["sizes"]["logical_bytes"])
        self.show.say(f"[5/6] on disk     {self.plan.steps} steps, {logical} of state; seconds are medians\n")
        if not self.show.quiet:
            demo_report.print_sizes(self.facts["sizes"])
        self.show.say(f"\n      ({NOISE_NOTE})")

    def _space(self) -> None:
        before = demo_report.disk_bytes(self.plan.store)
        with api.open(self.plan.store) as store:
            every = store.checkpoints(RUN)
            doomed = every[: len(every) // 2]
            for checkpoint in doomed:
                store.delete(checkpoint.id)
            store.gc()
        kept_bytes = demo_report.disk_bytes(self.plan.store)
        self.facts |= {"deleted": len(doomed), "freed_bytes": before - kept_bytes, "kept_bytes": kept_bytes}
        with self.show.progress("loading", len(every) - len(doomed)) as on_event:
            checked = follow("check", self.plan, on_event)
        deleted = {checkpoint.step for checkpoint in doomed}
        self.problems += demo_verdict.loads(set(self.plan.saves) - deleted, checked)
        self.problems += demo_verdict.states(self.plan.compared - deleted, checked)
        if self.problems:
            return
        self.show.say(
            f"[6/6] deleted     the older {len(doomed)} of {text.count(len(every), 'checkpoint')}; gc freed "
            f"{text.size(before - kept_bytes)} of {text.size(before)} (what the newer build on stays); "
            f"the other {len(checked.loaded)} load as before"
        )


def _listed(steps: set[int]) -> str:
    *most, last = map(str, sorted(steps))
    return f"{', '.join(most)} and {last}" if most else last
