"""Tensors → chunks: equal cuts by element count, so that weights, moments and copies of a model align one to one."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import ml_dtypes
import numpy as np
from blake3 import blake3

from ckstore.codec.hints import AVERAGE, MOMENTUM, VARIANCE, WEIGHT, Hints, Update
from ckstore.engine.companions import Family, columns
from ckstore.engine.parent import Parent
from ckstore.format.frame import ROLE_MASTER, ROLE_MOMENTUM, ROLE_VARIANCE, ROLE_WEIGHTS
from ckstore.format.manifest import chunk_bytes
from ckstore.tensor import TensorView, item_bytes

INLINE_BYTES = 4096
"""Tensors under this many bytes live in the manifest, but for those that do not change (see `settled`)."""
MIN_CHUNK_BYTES = 512

_SAMPLE = 32
_NUMPY = {"bfloat16": np.dtype(ml_dtypes.bfloat16), "float16": np.dtype(np.float16)}


@dataclass(frozen=True, slots=True)
class Slot:
    """One chunk of one tensor: the `index`-th, bytes [start, stop) of `view`."""

    tensor: int
    view: TensorView
    index: int
    start: int
    stop: int
    hints: Hints
    companions: tuple[tuple[int, int], ...] = ()
    """Role and place in the job of each earlier chunk that this one may be predicted or derived from."""


Job = tuple[Slot, ...]
"""Chunks of the same element range that are encoded together, in order: moments before the weights that follow from
them, a master before what is derived from it."""

_ROLES = {MOMENTUM: ROLE_MOMENTUM, VARIANCE: ROLE_VARIANCE, WEIGHT: ROLE_WEIGHTS}
_WANTED = {VARIANCE: {ROLE_MOMENTUM}, WEIGHT: {ROLE_MOMENTUM, ROLE_VARIANCE}, AVERAGE: {ROLE_WEIGHTS}}
"""What a part is predicted from."""


def settled(views: Sequence[TensorView], parent: Parent, known: Callable[[bytes], bool]) -> frozenset[int]:
    """Small tensors that are chunks all the same: unchanged since the parent, or known to the store as chunks.

    A frozen bias costs its hash in each further checkpoint, instead of its bytes. `python -m bench storage`: LoRA runs
    of one base take 0.1293 of logical instead of 0.1313.
    """
    small = (i for i, view in enumerate(views) if MIN_CHUNK_BYTES <= view.nbytes < INLINE_BYTES)
    return frozenset(i for i in small if _is_settled(views[i], parent, known))


def _is_settled(view: TensorView, parent: Parent, known: Callable[[bytes], bool]) -> bool:
    data = bytes(view.read(0, view.nbytes))
    before = parent.tensor(view.path)
    if before is None:
        return known(blake3(data).digest())
    row, columns = before
    return row.inline == data or columns.chunk_ids == blake3(data).digest()


def n_chunks(view: TensorView, chunk_elements: int, inline: bool) -> int:
    """How many chunks a tensor has; 0 if it is small and may live in the manifest."""
    small = view.nbytes < INLINE_BYTES and inline
    return 0 if small else -(-view.nbytes // chunk_bytes(view.dtype, chunk_elements))


def jobs(
    views: Sequence[TensorView], families: Sequence[Family], chunk_elements: int, chunked: Container[int],
    weights_alone: bool = False,
) -> Iterator[Job]:  # fmt: skip
    """Every chunk of every tensor, once, in the order in which they are to be stored.

    chunked: see `settled`. weights_alone: weights are not to be predicted from moments.
    """
    wanted = {**_WANTED, WEIGHT: set[int]()} if weights_alone else _WANTED
    derived = find_derived(views)
    followers: dict[int, list[int]] = {}
    for follower, master in derived.items():
        followers.setdefault(master, []).append(follower)
    family_of = {number: family for family in families for _, number in family.parts()}
    done: set[int] = set()
    for number, view in enumerate(views):
        if number in derived or number in done:
            continue
        count = n_chunks(view, chunk_elements, number not in chunked)
        family = family_of.get(number, Family(number))
        parts = family.parts() if count else []
        members = [_Member(part, one, family.update) for part, one in parts if one not in derived and one not in done]
        members = [one for one in members if n_chunks(views[one.number], chunk_elements, True) == count]
        if number not in (one.number for one in members):
            members = [_Member("", number, None)]
        halves = [_Member("", half, None) for one in members for half in followers.get(one.number, ())]
        done.update(one.number for one in members)
        for index in range(count):
            yield _job(views, [*members, *halves], derived, wanted, index, chunk_elements)


class _Member(NamedTuple):
    """A tensor of a job: its part in training."""

    part: str
    number: int
    update: Update | None


def _job(
    views: Sequence[TensorView], members: Sequence[_Member], derived: Mapping[int, int],
    wanted: Mapping[str, Container[int]], index: int, chunk_elements: int,
) -> Job:  # fmt: skip
    place = {member.number: i for i, member in enumerate(members)}
    slots: list[Slot] = []
    for i, member in enumerate(members):
        roles = [(_ROLES.get(other.part, 0), at) for at, other in enumerate(members[:i])]
        companions = [(role, at) for role, at in roles if role in wanted.get(member.part, ())]
        if member.number in derived:
            companions = [(ROLE_MASTER, place[derived[member.number]])]
        view = views[member.number]
        size = chunk_bytes(view.dtype, chunk_elements)
        hints = Hints(member.part, columns(view), index * chunk_elements, member.update)
        stop = min(view.nbytes, (index + 1) * size)
        slots.append(Slot(member.number, view, index, index * size, stop, hints, tuple(companions)))
    return tuple(slots)


def find_derived(views: Sequence[TensorView]) -> dict[int, int]:
    """Half-precision tensors that look like roundings of a float32 tensor of the same shape: {number: its master's}.

    Looks at a few elements only; the codec tests every chunk and falls back where the guess does not hold.
    """
    halves = [i for i, view in enumerate(views) if view.dtype in _NUMPY and view.nbytes >= INLINE_BYTES]
    shapes = {views[i].shape for i in halves}
    kinds = {views[i].dtype for i in halves}
    masters: dict[tuple[object, ...], int] = {}
    for i, view in enumerate(views):
        if view.dtype == "float32" and view.shape in shapes:
            sample = np.frombuffer(_sample(view), "<f4")
            with np.errstate(over="ignore", invalid="ignore"):
                for kind in kinds:
                    masters.setdefault((view.shape, kind, sample.astype(_NUMPY[kind]).tobytes()), i)
    found = ((i, masters.get((views[i].shape, views[i].dtype, _sample(views[i])))) for i in halves)
    return {i: master for i, master in found if master is not None}


def _sample(view: TensorView) -> bytes:
    size = item_bytes(view.dtype)
    n = view.nbytes // size
    starts = (0, max(0, n // 2 - _SAMPLE), max(0, n - _SAMPLE))
    return b"".join(bytes(view.read(start * size, min(n, start + _SAMPLE) * size)) for start in starts)
