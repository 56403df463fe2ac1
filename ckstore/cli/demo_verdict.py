"""Whether the demo proved what it says: every claim checked, every failure in words."""

from __future__ import annotations

from ckstore.cli.demo_plan import Plan
from ckstore.cli.demo_process import Log
from ckstore.cli.text import count


def after_kill(first: Log, newest_step: int) -> list[str]:
    """A checkpoint whose save had returned must have survived the kill."""
    acknowledged = first.saved[-1]["step"] if first.saved else 0
    if not first.killed:
        return ["the run ended before it could be killed: run the demo again"]
    if newest_step < acknowledged:
        return [f"the save of step {acknowledged} had returned, but the newest checkpoint is of step {newest_step}"]
    return []


def losses(plan: Plan, whole: Log, first: Log, second: Log) -> list[str]:
    """Every loss of both parts of the broken run, bit for bit that of the unbroken one; together they cover all."""
    problems = []
    for name, log in (("killed", first), ("resumed", second)):
        wrong = [step for step, loss in log.losses.items() if whole.losses.get(step) != loss]
        if wrong:
            steps = count(len(wrong), "step")
            problems.append(f"the {name} run's loss is not that of the unbroken one at {steps}, first at {wrong[0]}")
    missing = set(range(1, plan.steps + 1)) - set(first.losses) - set(second.losses)
    if missing:
        problems.append(f"no loss was seen for step {min(missing)}")
    return problems


def states(steps: set[int], checked: Log) -> list[str]:
    """Each of `steps` was compared with its torch.save copy, and nothing differed."""
    problems = [
        f"step {event['step']} is not what torch.save kept of it: {', '.join(event['different'][:5])} differ"
        for event in checked.compared
        if event["different"]
    ]
    missing = steps - {event["step"] for event in checked.compared}
    if missing:
        problems.append(f"the checkpoint of step {min(missing)} is not there to compare")
    return problems


def loads(expected: set[int], checked: Log) -> list[str]:
    """Exactly the checkpoints of the `expected` steps were there and loaded."""
    wrong = expected ^ {event["step"] for event in checked.loaded}
    return [f"the checkpoint of step {min(wrong)} is missing, or there and should not be"] if wrong else []
