"""The processes that the demo starts: each plays the role that its command line names and prints one event a line.

Roles: `unbroken` trains with no store; `stored` trains with a store and resumes from it where it can, and knows
nothing of being killed; `check` loads every checkpoint and compares some with the copies of the unbroken run.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

from ckstore import api
from ckstore.cli.demo_compare import differences
from ckstore.cli.demo_model import Training
from ckstore.cli.demo_peers import measure
from ckstore.cli.demo_plan import RUN, Plan
from ckstore.cli.failure import guarded

Tell = Callable[..., None]


def unbroken(plan: Plan, tell: Tell) -> None:
    """Train to the end in one go; at every step that is saved, measure what torch.save would take."""
    training = Training(plan)
    tell("start", parameters=sum(p.numel() for p in training.model.parameters()), corpus_bytes=len(training.text))
    plan.copies.mkdir(parents=True)
    while training.step_done < plan.steps:
        _step(training, tell)
        step = training.step_done
        if step in plan.saves:
            kept = plan.copy(step) if step in plan.compared else None
            tell("peers", step=step, **measure(training.state(), kept, plan.copies))


def stored(plan: Plan, tell: Tell) -> None:
    """Train to the end, from the newest checkpoint if there is one, and save every few steps."""
    training = Training(plan)
    with api.open(plan.store, create=True) as store:
        if store.checkpoints(RUN):
            training.restore(store.load(f"{RUN}@latest"))
        tell("start", step=training.step_done)
        while training.step_done < plan.steps:
            loss = _step(training, tell)
            step = training.step_done
            if step in plan.saves:
                tell("saving", step=step)
                start = perf_counter()
                checkpoint = store.save(training.state(), step=step, run=RUN, metrics={"loss": loss})
                seconds = perf_counter() - start
                tell("saved", step=step, seconds=seconds, logical_bytes=checkpoint.logical_bytes)


def _step(training: Training, tell: Tell) -> float:
    loss = training.step()
    # As hexadecimal: the decimal form of a float is where bit-exactness is lost first.
    tell("step", step=training.step_done, loss=loss.hex())
    return loss


def check(plan: Plan, tell: Tell) -> None:
    """Load every checkpoint and compare the ones that have a torch.save copy, bit for bit."""
    import torch

    with api.open(plan.store, readonly=True) as store:
        for checkpoint in store.checkpoints(RUN):
            start = perf_counter()
            state = store.load(checkpoint.id)
            tell("loaded", step=checkpoint.step, seconds=perf_counter() - start)
            if checkpoint.step in plan.compared:
                copy = torch.load(plan.copy(checkpoint.step))
                n_leaves, different = differences(copy, state)
                tell("compared", step=checkpoint.step, n_leaves=n_leaves, different=different)


ROLES: dict[str, Callable[[Plan, Tell], None]] = {"unbroken": unbroken, "stored": stored, "check": check}


def main() -> None:
    """Play the role named on the command line."""
    role, plan = sys.argv[1], Plan.loads(sys.argv[2])
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not mix with the events

    def tell(event: str, **facts: Any) -> None:
        events.write(json.dumps({"event": event, **facts}) + "\n")

    sys.exit(guarded(lambda: ROLES[role](plan, tell)))
