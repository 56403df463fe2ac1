"""What a policy chooses is what a naive restatement of its rules chooses; and some things it never does."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ckstore.engine.retain.choice import DELETED, KEPT, THINNED, Facts, choose
from ckstore.engine.retain.policy import Keep
from ckstore.engine.retain.room import Room
from ckstore.format import envelope
from ckstore.format.names import MANIFEST, PACK
from ckstore.format.records import EMPTY, Entry, ObjectRef

NOW = 1000.0
REF = ObjectRef("1-00000000000000aa-1", bytes(32), 100)
THIN = ["optimizer.*"]
OBJECTS = [*((PACK, f"pack {i}") for i in range(4)), *((MANIFEST, f"manifest {i}") for i in range(3))]


@dataclass(frozen=True)
class World:
    """Checkpoints, oldest first; which of them are damaged, what each needs, and what it would need when thinned."""

    entries: tuple[Entry, ...]
    damaged: frozenset[bytes]
    needs: dict[bytes, frozenset[Any]]
    thinned: dict[bytes, frozenset[Any] | None]
    sizes: dict[Any, int]

    def facts(self) -> Facts:
        room = Room(self.sizes, {entry.id: self.needs[entry.id] for entry in self.entries}, 0)
        return Facts(lambda e: "bad" if e.id in self.damaged else None, lambda e: self.thinned[e.id], room)

    def n_bytes(self, needs: dict[bytes, frozenset[Any]]) -> int:
        return sum(self.sizes[item] for item in frozenset().union(*needs.values()))

    def after(self, actions: dict[bytes, str]) -> World:
        """The store when that was done."""
        left = [msgspec.structs.replace(e, extra=noted()) if actions.get(e.id) == THINNED else e for e in self.entries]
        needs = {key: self.thinned[key] if actions.get(key) == THINNED else self.needs[key] for key in self.needs}
        return replace(self, entries=tuple(e for e in left if actions.get(e.id) != DELETED), needs=needs)


def noted() -> msgspec.Raw:
    return envelope.encode_map({"dropped": THIN})


metrics = st.one_of(st.just({}), st.builds(lambda v: {"loss": v}, st.sampled_from([0.0, 0.0, 1.0, math.nan, math.inf])))
subsets = st.frozensets(st.sampled_from(OBJECTS), max_size=4)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    entries = tuple(
        Entry(
            id=bytes([i]) * 32, run=draw(st.sampled_from("ab")), step=draw(st.integers(-2, 8)),
            time_ns=int(draw(st.sampled_from([800.0, 900.0, 990.0, 999.0, 1000.0, 1100.0])) * 1e9),
            logical_bytes=0, stored_bytes=0, manifest=REF, closure=REF, parent=b"", metrics=draw(metrics),
            tags=draw(st.sampled_from([[], [], [], ["good"]])), meta=EMPTY, write_id=bytes(16), n_tensors=0,
            extra=draw(st.sampled_from([EMPTY, EMPTY, noted()])),
        )
        for i in range(draw(st.integers(0, 9)))
    )  # fmt: skip
    needs = {entry.id: draw(subsets) for entry in entries}
    thinned = {key: draw(st.sampled_from([mine, frozenset(sorted(mine)[:1]), None])) for key, mine in needs.items()}
    damaged = frozenset(entry.id for entry in entries if draw(st.integers(0, 3)) == 0)
    return World(entries, damaged, needs, thinned, {item: draw(st.integers(0, 50)) for item in OBJECTS})


BEST = st.tuples(st.just("loss"), st.sampled_from(["min", "max"]), st.integers(1, 2))
RULES: dict[str, st.SearchStrategy[Any]] = {
    "last": st.sampled_from([1, 2, 4]),
    "best": st.lists(BEST, min_size=1, max_size=2),
    "every": st.integers(2, 3),
    "ttl_s": st.sampled_from([5, 100.0]),
    "tagged": st.just(True),
}
"""Each alone, or with one other: where most rules are at work, each of them hides behind the others."""


@st.composite
def policies(draw: st.DrawFn) -> Keep:
    names = draw(st.lists(st.sampled_from(list(RULES)), max_size=2, unique=True))
    rules: dict[str, Any] = {name: draw(RULES[name]) for name in names}
    if draw(st.booleans()):
        rules |= {"thin": THIN, "thin_beyond": draw(st.sampled_from([None, 1, 2]))}
    if not rules or draw(st.booleans()):
        rules["quota_bytes"] = draw(st.sampled_from([0, 40, 80, 120]))
    return Keep(**rules, run=draw(st.sampled_from([None, None, "a"])))


def newer(entry: Entry, among: list[Entry]) -> int:
    """How many of the same run came after it."""
    return sum(other.run == entry.run for other in among[among.index(entry) + 1 :])


def better(entry: Entry, other: Entry, metric: str, direction: str, among: list[Entry]) -> bool:
    mine, its = entry.metrics.get(metric, math.nan), other.metrics.get(metric, math.nan)
    if other.run != entry.run or math.isnan(its):
        return False
    if its == mine:
        return among.index(other) > among.index(entry)
    return its < mine if direction == "min" else its > mine


def ruled(entry: Entry, policy: Keep, among: list[Entry]) -> bool:
    """Whether a rule keeps it, quota and protection apart."""
    if entry.tags or not policy.deletes:
        return True
    by_best = any(
        not math.isnan(entry.metrics.get(metric, math.nan))
        and sum(better(entry, other, metric, direction, among) for other in among) < n
        for metric, direction, n in policy.best
    )
    return (
        by_best
        or (policy.last is not None and newer(entry, among) < policy.last)
        or (policy.every is not None and entry.step % policy.every == 0)
        or (policy.ttl_s is not None and NOW - entry.time_ns / 1e9 < policy.ttl_s)
    )


def protected(world: World, mine: list[Entry], runs: set[str]) -> set[bytes]:
    found: set[bytes] = set()
    for run in runs:
        of_run = [entry for entry in mine if entry.run == run]
        whole = [entry.id for entry in of_run if entry.id not in world.damaged]
        found |= {whole[-1]} if whole else {entry.id for entry in of_run}
    return found


def expected(world: World, policy: Keep) -> dict[bytes, str]:
    """The rules as README tells them, each looked up from the beginning."""
    mine = [entry for entry in world.entries if policy.run in (None, entry.run)]
    actions = {entry.id: KEPT if ruled(entry, policy, mine) else DELETED for entry in mine}
    staying = [entry for entry in mine if actions[entry.id] == KEPT]
    for entry in staying if policy.thin else []:
        if newer(entry, staying) >= policy.whole and not entry.tags and entry.extra == EMPTY:
            actions[entry.id] = THINNED
    spared = protected(world, mine, {entry.run for entry in mine if actions[entry.id] != KEPT})
    actions.update(dict.fromkeys(spared, KEPT))
    actions.update({key: KEPT for key, act in actions.items() if act == THINNED and world.thinned[key] is None})
    if policy.quota_bytes is not None:
        meet(world, policy.quota_bytes, mine, actions)
    return actions


def meet(world: World, quota: int, mine: list[Entry], actions: dict[bytes, str]) -> None:
    def left(without: list[bytes], kinds: tuple[int, ...] = (PACK, MANIFEST)) -> int:
        now = {e.id: actions.get(e.id, KEPT) for e in world.entries if e.id not in without}
        needs = {key: world.thinned if act == THINNED else world.needs for key, act in now.items() if act != DELETED}
        return sum(
            world.sizes[item] for item in frozenset().union(*(of[key] for key, of in needs.items())) if item[0] in kinds
        )

    if left([]) <= quota:
        return
    hard = protected(world, mine, {entry.run for entry in mine})
    free = [e.id for e in mine if actions[e.id] != DELETED and not e.tags and e.id not in hard]
    n = next((n for n in range(len(free) + 1) if left(free[:n]) <= quota), len(free))
    gone = free[:n]
    fits, packs = left(gone) <= quota, left(gone, (PACK,))
    for key in reversed(free[:n]):
        others = [other for other in gone if other != key]
        if left(others) <= quota if fits else left(others, (PACK,)) == packs:
            gone = others
    actions.update(dict.fromkeys(gone, DELETED))


@settings(max_examples=400)
@given(worlds(), policies())
def test_the_choice_is_that_of_a_naive_restatement(world, policy):
    choice = choose(world.entries, policy, NOW, world.facts())
    assert choice.actions == expected(world, policy)
    assert choice.freed_bytes == world.n_bytes(world.needs) - world.n_bytes(
        {e.id: world.after(choice.actions).needs[e.id] for e in world.after(choice.actions).entries}
    )
    assert all(choice.reasons.values())


@settings(max_examples=200)
@given(worlds(), policies())
def test_what_must_stay_stays(world, policy):
    actions = choose(world.entries, policy, NOW, world.facts()).actions
    assert all(actions.get(entry.id, KEPT) == KEPT for entry in world.entries if entry.tags)
    for run in {entry.run for entry in world.entries}:
        whole = [entry.id for entry in world.entries if entry.run == run and entry.id not in world.damaged]
        assert actions.get(whole[-1] if whole else b"", KEPT) == KEPT
    assert policy.run is None or all(e.run == policy.run for e in world.entries if e.id in actions)


@settings(max_examples=200)
@given(worlds(), policies())
def test_a_policy_applied_twice_does_nothing_more(world, policy):
    again = world.after(choose(world.entries, policy, NOW, world.facts()).actions)
    assert set(choose(again.entries, policy, NOW, again.facts()).actions.values()) <= {KEPT}
