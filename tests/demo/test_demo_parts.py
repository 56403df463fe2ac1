"""What the demo trusts: its comparison of states, its verdicts, and its choice of when to kill."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from ckstore.cli import demo_process, demo_verdict
from ckstore.cli.demo_plan import Plan
from ckstore.cli.demo_process import Killer, Log

PLAN = Plan("nowhere", steps=8, every=2)


def _log(losses: dict[int, str], **facts: Any) -> Log:
    return Log(losses=losses, **facts)


WHOLE = _log({step: float(step).hex() for step in range(1, 9)})


def _part(first: int, last: int) -> Log:
    return _log({step: float(step).hex() for step in range(first, last + 1)})


def test_equal_losses_that_cover_all_steps_are_no_problem() -> None:
    assert demo_verdict.losses(PLAN, WHOLE, _part(1, 5), _part(5, 8)) == []


def test_one_bit_in_one_loss_is_a_problem() -> None:
    second = _part(5, 8)
    second.losses[7] = float(np.nextafter(7.0, 8.0)).hex()
    assert demo_verdict.losses(PLAN, WHOLE, _part(1, 5), second) == [
        "the resumed run's loss is not that of the unbroken one at 1 step, first at 7"
    ]


def test_a_step_that_nobody_trained_is_a_problem() -> None:
    assert demo_verdict.losses(PLAN, WHOLE, _part(1, 4), _part(6, 8)) == ["no loss was seen for step 5"]


def test_a_lost_checkpoint_and_a_kill_that_missed_are_problems() -> None:
    killed = _log({}, saved=[{"step": 4}], killed=True)
    assert demo_verdict.after_kill(killed, 4) == demo_verdict.after_kill(killed, 6) == []
    assert "step 4 had returned" in demo_verdict.after_kill(killed, 2)[0]
    assert "before it could be killed" in demo_verdict.after_kill(_log({}), 8)[0]


def test_a_state_that_differs_or_was_not_compared_is_a_problem() -> None:
    checked = _log({}, compared=[{"step": 2, "different": []}, {"step": 4, "different": ["model.w"]}])
    assert demo_verdict.states({2}, checked)[0].startswith("step 4 is not what torch.save kept of it: model.w")
    assert demo_verdict.states({2, 8}, _log({}, compared=checked.compared[:1])) == [
        "the checkpoint of step 8 is not there to compare"
    ]


def test_a_checkpoint_too_few_or_too_many_is_a_problem() -> None:
    checked = _log({}, loaded=[{"step": 6}, {"step": 8}])
    assert demo_verdict.loads({6, 8}, checked) == []
    assert "step 4 is missing" in demo_verdict.loads({4, 6, 8}, checked)[0]
    assert "step 6 is missing, or there and should not be" in demo_verdict.loads({8}, checked)[0]


def _differences(expected: Any, actual: Any) -> list[str]:
    pytest.importorskip("torch")
    from ckstore.cli.demo_compare import differences

    return differences(expected, actual)[1]


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (0.0, -0.0),
        (1, True),
        (1, 1.0),
        ((1, 2), [1, 2]),
        ([1, 2], [1]),
        ({"a": 1}, {"b": 1}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1}, OrderedDict(a=1)),
        (np.zeros(3, "f4"), np.zeros(3, "f8")),
        (np.zeros(3, "f4"), -np.zeros(3, "f4")),
        (np.zeros((2, 3)), np.zeros((3, 2))),
    ],
)
def test_states_that_only_look_the_same_differ(expected: Any, actual: Any) -> None:
    assert _differences({"x": [expected]}, {"x": [expected]}) == []
    assert _differences({"x": [expected]}, {"x": [actual]}) == ["x.0"]


def test_tensors_are_compared_by_their_bits() -> None:
    torch = pytest.importorskip("torch")
    plain, nan = torch.zeros(3), torch.tensor(float("nan"))
    assert _differences([plain, nan], [plain.clone(), nan.clone()]) == []
    for other in (-plain, plain.half(), torch.zeros(3, 1), np.zeros(3, "f4")):
        assert _differences([plain], [other]) == ["0"]


def test_the_kill_falls_in_the_middle_of_the_run_after_the_chosen_kind_of_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo_process, "sleep", lambda seconds: None)
    phases = set()
    for _ in range(200):
        killer, plan = Killer(Plan("nowhere")), Plan("nowhere")
        events = [{"event": kind, "step": step} for step in range(5, 121, 5) for kind in ("step", "saving", "saved")]
        fatal = next(event for event in events if killer.due(event))
        phases.add(fatal["event"])
        assert plan.steps * 2 // 5 <= fatal["step"] <= plan.steps * 3 // 5 + plan.every
    assert phases == {"step", "saving"}
