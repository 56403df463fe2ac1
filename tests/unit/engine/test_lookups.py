"""Finding a chunk and its bases in the store by id: whole chains, and no end of work where somebody means harm."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ckstore.engine.lookup import LOOKUP_FRAMES, Lookup
from ckstore.engine.parent import Parent
from ckstore.format.frame import MAX_BASES, RAW, ROLE_PREVIOUS, Base, Frame
from ckstore.format.records import ObjectRef
from ckstore.format.segment import SegmentRow

PACK = ObjectRef("1-00000000000000aa-1", bytes(32), 1 << 40)


def id_of(number: int) -> bytes:
    return number.to_bytes(32, "big")


class Frames:
    """Stands for all packs: frame `n` has the bases that `bases_of(n)` names. Counts what is read."""

    def __init__(self, bases_of: Any) -> None:
        self.bases_of, self.n_read = bases_of, 0

    def frame(self, name: str, offset: int, n_bytes: int) -> Frame:
        self.n_read += 1
        assert self.n_read < 100_000, "it never ends"
        bases = tuple(Base(ROLE_PREVIOUS, id_of(base)) for base in self.bases_of(offset))
        return Frame(RAW, id_of(offset), 9, bases, b"", b"")

    def find(self, root: object, chunk_id: bytes) -> list[SegmentRow]:
        return [SegmentRow(chunk_id, PACK, int.from_bytes(chunk_id, "big"), 100, 9)]

    def lookup(self) -> Lookup:
        repo: Any = SimpleNamespace(packs=self, segments=self)
        root: Any = None
        return Lookup(repo, root, Parent(), frozenset([PACK.name]))


def found(frames: Frames, number: int) -> list[int] | None:
    chain = frames.lookup().find(id_of(number))
    return None if chain is None else [item.where.offset for item in chain[0]]


def test_a_chain_is_found_bases_first() -> None:
    assert found(Frames(lambda n: [n - 1] if n else []), 20) == list(range(21))


def test_bases_that_several_frames_share_are_found_once() -> None:
    frames = Frames(lambda n: [base for base in (n - 1, n - 2) if base >= 0])
    assert found(frames, 8) == list(range(9))
    assert frames.n_read == 9


BRANCHING = {
    "the same four times": (12, lambda n: [n - 1] * MAX_BASES if n else []),
    "four others": (0, lambda n: [MAX_BASES * n + 1 + i for i in range(MAX_BASES)] if n < MAX_BASES**9 else []),
}
"""Where to begin, and the bases of each frame: few links down, very many ways."""


@pytest.mark.parametrize("shape", BRANCHING)
def test_a_chain_that_branches_at_every_link_is_given_up_soon(shape: str) -> None:
    number, bases_of = BRANCHING[shape]
    frames = Frames(bases_of)
    assert found(frames, number) is None
    assert frames.n_read <= LOOKUP_FRAMES


def test_each_lookup_has_a_budget_of_its_own() -> None:
    frames = Frames(lambda n: [n - 1] if n else [])
    for _ in range(10):
        assert found(frames, 30) is not None
