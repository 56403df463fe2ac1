"""Keep: every rule is meant, or it is refused."""

from __future__ import annotations

import math

import pytest

import ckstore
from ckstore import Keep


@pytest.mark.parametrize(
    "rules",
    [
        {}, {"run": "main"}, {"last": 0}, {"last": True}, {"last": 2.0}, {"every": 0}, {"every": -5}, {"ttl_s": 0},
        {"ttl_s": math.nan}, {"ttl_s": "7d"}, {"ttl_s": True}, {"best": "loss"}, {"best": [("loss", "min")]},
        {"best": [("loss", "least", 3)]}, {"best": [("loss", "min", 0)]}, {"best": [("", "min", 1)]},
        {"best": [("loss", "min", None)]}, {"best": ["loss:min:3"]}, {"thin": [1]}, {"thin_beyond": 3},
        {"last": 3, "thin_beyond": 3}, {"thin": ["a"], "thin_beyond": 0}, {"quota_bytes": -1}, {"quota_bytes": 2.5},
        {"last": 1, "run": "no such name"},
    ],
    ids=str,
)  # fmt: skip
def test_a_rule_that_is_none_is_refused(rules):
    with pytest.raises(ckstore.UsageError):
        Keep(**rules)


def test_an_empty_policy_is_refused_with_what_could_be_in_it():
    with pytest.raises(ckstore.UsageError, match="without any rule: give last, best"):
        Keep()


@pytest.mark.parametrize("policy", [None, {"last": 3}, "last=3", 3], ids=repr)
def test_only_a_policy_is_taken(policy, store_path):
    with ckstore.open(store_path, create=True) as store, pytest.raises(ckstore.UsageError, match=r"ckstore\.Keep"):
        store.keep(policy)


def test_a_policy_cannot_change_after_it_was_checked():
    best = [["loss", "min", 3]]
    policy = Keep(best=best, thin="optimizer.*")
    best.append("nonsense")
    assert (policy.best, policy.thin) == ((("loss", "min", 3),), ("optimizer.*",))
    with pytest.raises(AttributeError):
        policy.last = 0


@pytest.mark.parametrize(
    ("rules", "whole"),
    [({}, 1), ({"last": 4}, 4), ({"last": 4, "thin_beyond": 2}, 2), ({"thin_beyond": 7}, 7)],
    ids=str,
)
def test_what_is_resumed_from_stays_whole(rules, whole):
    assert Keep(thin=["optimizer.*"], **rules).whole == whole
