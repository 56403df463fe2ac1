"""Breadth-first search of everything that several actors can do to one world, with the shortest way to a violation.

A world and what an actor remembers are immutable and hashable. An actor's turn is one step that nobody can interrupt;
between any two steps any other actor may have its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

Move = tuple[str, Any, Any]
"""(what happens, the world after it, what the actor remembers after it)"""


class State(NamedTuple):
    """A world, and what each actor remembers."""

    world: Any
    minds: tuple[Hashable, ...]


class Actor(Protocol):
    """Somebody who acts on the world. All that it remembers from step to step is its mind."""

    name: str

    def first(self) -> Hashable: ...
    def moves(self, world: Any, mind: Any) -> Iterator[Move]: ...


class Model(NamedTuple):
    """Where everything begins, who acts, and what must hold."""

    world: Any
    actors: Sequence[Actor]
    broken: Callable[[Any], str]
    """What is wrong with a world, or nothing."""
    broken_at_the_end: Callable[[Any], str] = lambda _: ""
    """The same, for a world in which nobody has anything left to do."""


class Found(NamedTuple):
    """How many states there are up to the first violation, which it was and how one gets there."""

    n_states: int
    problem: str
    trace: tuple[str, ...]
    steps: frozenset[str]
    """All that anybody ever did, without his name."""

    def __str__(self) -> str:
        if not self.problem:
            return f"{self.n_states} states, no violation"
        return "\n".join([f"{self.problem}, after {self.n_states} states:", *self.trace])


def moves(model: Model, state: State) -> Iterator[tuple[str, str, State]]:
    """Every (actor, step, state after it) that can be next."""
    world, minds = state
    for i, (actor, mind) in enumerate(zip(model.actors, minds, strict=True)):
        for what, after, changed in actor.moves(world, mind):
            yield actor.name, what, State(after, (*minds[:i], changed, *minds[i + 1 :]))


def search(model: Model, limit: int = 1_500_000) -> Found:
    """Every reachable state, nearest first, until one is broken. Raises AssertionError beyond `limit` states."""
    start = State(model.world, tuple(actor.first() for actor in model.actors))
    came_from: dict[State, tuple[State, str, str] | None] = {start: None}
    steps, level = set[str](), [start]
    while level:
        following = []
        for state in level:
            problem, is_end = model.broken(state.world), True
            for name, what, after in () if problem else moves(model, state):
                is_end = False
                steps.add(what)
                if after not in came_from:
                    came_from[after] = state, name, what
                    following.append(after)
            problem = problem or (model.broken_at_the_end(state.world) if is_end else "")
            if problem:
                return Found(len(came_from), problem, _trace(came_from, state), frozenset(steps))
        assert len(came_from) <= limit, "this model is too large to be searched: make it smaller"
        level = following
    return Found(len(came_from), "", (), frozenset(steps))


def _trace(came_from: dict[State, tuple[State, str, str] | None], state: State) -> tuple[str, ...]:
    steps = []
    while (before := came_from[state]) is not None:
        state, name, what = before
        steps.append(f"{name} {what}")
    return tuple(reversed(steps))
