"""Candidates of hyper-parameters."""

from __future__ import annotations

from ckstore.codec.hints import NO_HINTS, Rule, Update


def test_every_combination_is_a_rule_and_the_first_ones_come_first() -> None:
    rules = list(Update((0.1, 0.2), (0.9,), (0.99, 0.999), (1e-8,), (0.01,)).rules())
    assert rules[0] == Rule(0.1, 0.9, 0.99, 1e-8, 0.01)
    assert {(rule.lr, rule.beta2) for rule in rules} == {(0.1, 0.99), (0.1, 0.999), (0.2, 0.99), (0.2, 0.999)}
    assert len(rules) == 4


def test_what_not_every_optimiser_has_may_be_left_out_but_not_the_rest() -> None:
    assert list(Update((0.1,), (0.9,)).rules()) == [Rule(0.1, 0.9, 0.0, 0.0, 0.0)]
    assert not list(Update().rules())
    assert not list(Update(lr=(0.1,)).rules())


def test_very_many_candidates_are_cut() -> None:
    many = tuple(float(i) for i in range(1000))
    assert len(list(Update(many, many, many, many, many).rules())) == 64


def test_no_hints_are_empty() -> None:
    assert (NO_HINTS.part, NO_HINTS.columns, NO_HINTS.update) == ("", 0, None)
