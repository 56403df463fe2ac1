"""In which order a row and its bases are decoded, and what is held meanwhile: for any graph that a closure may have."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckstore.engine import decode
from ckstore.engine.decode import Decoder, needed_rows
from ckstore.format.closure import MAX_WORK, Row
from ckstore.format.frame import RAW, ROLE_PREVIOUS, Base, Frame
from ckstore.format.records import ObjectRef

PACK = ObjectRef("1-00000000000000aa-1", bytes(32), 1 << 40)


def id_of(number: int) -> bytes:
    return number.to_bytes(32, "big")


def closure(bases: list[tuple[int, ...]]) -> list[Row]:
    return [Row(id_of(i), PACK, i, 1, 8, mine) for i, mine in enumerate(bases)]


class Chunks:
    """Stands for packs and codec: a chunk is its number plus those of its bases, so that a wrong base shows."""

    def __init__(self, rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows, self.decoded = rows, []
        monkeypatch.setattr(decode, "decode_into", self.decode_into)
        self.repo: Any = SimpleNamespace(packs=self)

    def frame(self, pack: str, offset: int, n_bytes: int) -> Frame:
        self.decoded.append(offset)
        bases = tuple(Base(ROLE_PREVIOUS, id_of(base)) for base in self.rows[offset].bases)
        return Frame(RAW, id_of(offset), 8, bases, b"", offset.to_bytes(8, "little"))

    def decode_into(
        self, codec: int, params: bytes, payload: memoryview, bases: list[memoryview], out: memoryview
    ) -> None:
        total = int.from_bytes(payload, "little") + sum(int.from_bytes(base, "little") for base in bases)
        out[:] = (total % (1 << 64)).to_bytes(8, "little")

    def value(self, i: int) -> int:
        return (i + sum(self.value(base) for base in self.rows[i].bases)) % (1 << 64)


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[int, ...]]:
    n = draw(st.integers(1, 12))
    return [tuple(draw(st.lists(st.integers(0, i - 1), max_size=4))) if i else () for i in range(n)]


@given(graphs(), st.data())
def test_each_row_is_decoded_once_after_its_bases(bases: list[tuple[int, ...]], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        chunks = Chunks(closure(bases), monkeypatch)
        known = data.draw(st.sets(st.integers(0, len(bases) - 1)))
        decoder = Decoder(chunks.repo, chunks.rows, lambda chunk_id: remembered(chunks, known, chunk_id))
        for i in data.draw(st.permutations(range(len(bases)))):
            chunks.decoded.clear()
            out = bytearray(8)
            decoder.into(i, memoryview(out))
            assert int.from_bytes(out, "little") == chunks.value(i)
            assert len(set(chunks.decoded)) == len(chunks.decoded)
            assert not known.difference([i]).intersection(chunks.decoded)


@given(graphs(), st.data())
def test_rows_that_are_decoded_together_share_what_they_need(bases: list[tuple[int, ...]], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        chunks = Chunks(closure(bases), monkeypatch)
        wanted = data.draw(st.sets(st.integers(0, len(bases) - 1), min_size=1))
        monkeypatch.setattr(decode, "MAX_HELD", data.draw(st.sampled_from([1, decode.MAX_HELD])))
        outs = {i: bytearray(8) for i in wanted}
        Decoder(chunks.repo, chunks.rows).fill({i: memoryview(out) for i, out in outs.items()})
        assert {i: int.from_bytes(out, "little") for i, out in outs.items()} == {i: chunks.value(i) for i in wanted}
        if len(bases) < decode.MAX_HELD:
            assert sorted(chunks.decoded) == sorted(needed_rows(chunks.rows, wanted))


def remembered(chunks: Chunks, known: set[int], chunk_id: bytes) -> bytes | None:
    number = int.from_bytes(chunk_id, "big")
    return chunks.value(number).to_bytes(8, "little") if number in known else None


def tree(depth: int) -> list[tuple[int, ...]]:
    """Four bases each, all different: what is held grows with the depth."""
    bases: list[tuple[int, ...]] = []

    def grow(left: int) -> int:
        mine = tuple(grow(left - 1) for _ in range(4)) if left else ()
        bases.append(mine)
        return len(bases) - 1

    grow(depth)
    return bases


def comb(depth: int) -> list[tuple[int, ...]]:
    """A chain whose every link has three bases of its own before the next one."""
    bases: list[tuple[int, ...]] = [()]
    for _ in range(depth):
        below = len(bases) - 1
        bases += [(), (), ()]
        bases.append((below + 1, below + 2, below + 3, below))
    return bases


def crossed(depth: int) -> list[tuple[int, ...]]:
    """Old rows that are needed once more at the end."""
    bases: list[tuple[int, ...]] = [(), *((i,) for i in range(depth))]
    for i in range(0, depth, 2):
        bases.append((len(bases) - 1, i))
    return bases


@pytest.mark.parametrize("bases", [tree(3), tree(6), comb(60), crossed(40)], ids=["3", "6", "comb", "crossed"])
def test_whatever_a_row_needs_a_score_of_chunks_is_enough(bases: list[tuple[int, ...]], monkeypatch) -> None:
    rows = closure(bases)
    chunks = Chunks(rows, monkeypatch)
    decoder, out, made = Decoder(chunks.repo, rows), memoryview(bytearray(8)), []
    honest = decoder._buffer
    monkeypatch.setattr(decoder, "_buffer", lambda n: made.append(honest(n)) or made[-1])
    decoder.into(len(rows) - 1, out)
    assert int.from_bytes(out, "little") == chunks.value(len(rows) - 1)
    assert len({id(buffer) for buffer in made}) <= 20
    assert len(chunks.decoded) <= MAX_WORK + 2000
