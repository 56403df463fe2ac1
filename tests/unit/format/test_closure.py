"""Closures: rows in an order that cannot loop, pointing only at places that can be."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckstore.errors import FormatError
from ckstore.format import closure, columns
from ckstore.format.closure import MAX_WORK, ROWS_PER_PAGE, Row
from ckstore.format.frame import MAX_BASES, MAX_CHUNK_BYTES, MAX_DEPTH, MAX_FRAME_BYTES
from ckstore.format.records import ClosurePage, ObjectRef, PackUse

WHAT = "closure 7-0123456789abcdef-4"
PACKS = [ObjectRef(f"7-0123456789abcdef-{i}", bytes([i]) * 32, 1 << 40) for i in range(3)]


def row(i: int, *bases: int, pack: int = 0) -> Row:
    return Row(i.to_bytes(32, "big"), PACKS[pack], 56 + 100 * i, 100, 4096, bases)


@st.composite
def row_lists(draw: st.DrawFn) -> list[Row]:
    rows: list[Row] = []
    for i in range(draw(st.integers(0, 30))):
        bases = draw(st.lists(st.integers(0, i - 1), max_size=MAX_BASES)) if i else []
        rows.append(row(i, *bases, pack=draw(st.integers(0, 2))))
    return rows


@given(row_lists())
def test_rows_come_back_as_they_were(rows: list[Row]) -> None:
    assert closure.from_pages(closure.to_pages(rows), WHAT) == rows


def test_rows_of_several_pages_may_depend_on_each_other() -> None:
    rows = [row(i, *([i - ROWS_PER_PAGE] if i >= ROWS_PER_PAGE else [])) for i in range(2 * ROWS_PER_PAGE + 5)]
    pages = closure.to_pages(rows)
    assert len(pages) == 3
    assert closure.from_pages(pages, WHAT) == rows


def test_equal_rows_at_equal_positions_make_equal_pages() -> None:
    old, new = ([row(i) for i in range(ROWS_PER_PAGE + n)] for n in (10, 50))
    assert closure.to_pages(old)[0] == closure.to_pages(new)[0]


@pytest.mark.parametrize("base", [2, 3, 2**32 - 1], ids=["itself", "a later row", "no row"])
def test_a_row_that_depends_on_itself_or_later_ones_is_refused(base: int) -> None:
    rows = [row(0), row(1), row(2, base), row(3)]
    with pytest.raises(FormatError, match="row 2 depends on a row after it") as caught:
        closure.from_pages([closure._to_page(rows)], WHAT)
    assert caught.value.object == WHAT
    with pytest.raises(FormatError, match="row 2 depends on a row after it"):
        closure.to_pages(rows)


def test_two_rows_that_depend_on_each_other_are_refused() -> None:
    with pytest.raises(FormatError, match="after it"):
        closure.from_pages([closure._to_page([row(0, 1), row(1, 0)])], WHAT)


def test_the_longest_chain_is_read_and_a_longer_one_refused() -> None:
    chain = [row(i, *([i - 1] if i else [])) for i in range(MAX_DEPTH + 1)]
    assert len(closure.from_pages(closure.to_pages(chain[:-1]), WHAT)) == MAX_DEPTH
    for refused in (lambda: closure.from_pages([closure._to_page(chain)], WHAT), lambda: closure.to_pages(chain)):
        with pytest.raises(FormatError, match=f"row {MAX_DEPTH} needs a chain of more than {MAX_DEPTH} frames"):
            refused()


def test_a_chain_that_branches_at_every_link_is_refused_and_one_that_joins_others_is_not() -> None:
    branching = [row(i, *([i - 1] * MAX_BASES if i else [])) for i in range(MAX_DEPTH)]
    for refused in (
        lambda: closure.from_pages([closure._to_page(branching)], WHAT),
        lambda: closure.to_pages(branching),
    ):
        with pytest.raises(FormatError, match=f"row 6 needs more than {MAX_WORK} frames to be decoded"):
            refused()
    joining = [row(0), row(1)]
    for i in range(2, MAX_DEPTH, 2):  # weights that follow from their own and a moment's chain
        joining += [row(i, i - 2), row(i + 1, i - 1, i)]
    assert len(closure.from_pages(closure.to_pages(joining), WHAT)) == MAX_DEPTH


PAGE = closure.to_pages([row(0), row(1, 0, pack=1), row(2, 0, 1)])[0]
LIES = {
    "ids cut": {"chunk_ids": PAGE.chunk_ids[:-1]},
    "ids of one more": {"chunk_ids": PAGE.chunk_ids + bytes(32)},
    "packs cut": {"pack_of": PAGE.pack_of[:-1]},
    "no such pack": {"pack_of": columns.pack([0, 1, 2], "<u2")},
    "no packs": {"packs": []},
    "offsets cut": {"offsets": PAGE.offsets[:-1]},
    "offset wraps": {"offsets": columns.pack([56, 156, 2**64 - 1], "<u8")},
    "offset behind the pack": {"offsets": columns.pack([56, 156, (1 << 40) - 99], "<u8")},
    "frame sizes cut": {"frame_bytes": PAGE.frame_bytes[:-1]},
    "huge frame": {"frame_bytes": columns.pack([100, 100, MAX_FRAME_BYTES + 1], "<u4")},
    "chunk sizes cut": {"logical_bytes": PAGE.logical_bytes[:-1]},
    "huge chunk": {"logical_bytes": columns.pack([1, 1, MAX_CHUNK_BYTES + 1], "<u4")},
    "base counts cut": {"n_bases": PAGE.n_bases[:-1]},
    "too many bases": {"n_bases": bytes([0, 0, 5]), "bases": columns.pack([0] * 5, "<u4")},
    "a base too few": {"bases": PAGE.bases[:-4]},
    "a base too many": {"bases": PAGE.bases + bytes(4)},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_page_that_lies_is_refused(lie: str) -> None:
    with pytest.raises(FormatError, match=WHAT) as caught:
        closure.from_pages([msgspec.structs.replace(PAGE, **LIES[lie])], WHAT)
    assert caught.value.object == WHAT


def test_more_rows_than_any_checkpoint_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closure, "MAX_ROWS", 5)
    assert len(closure.from_pages([PAGE], WHAT)) == 3
    with pytest.raises(FormatError, match="more than 5 rows"):
        closure.from_pages(iter([PAGE] * 1000), WHAT)


@given(st.builds(ClosurePage, st.just(PACKS), *[st.binary(max_size=64)] * 7))
def test_any_columns_are_rows_or_a_clean_error(page: ClosurePage) -> None:
    try:
        rows = closure.from_pages([page], WHAT)
    except FormatError:
        return
    assert closure.from_pages(closure.to_pages(rows), WHAT) == rows


def test_every_pack_is_counted_once_with_the_bytes_used() -> None:
    uses = closure.pack_uses([row(0), row(1, pack=2), row(2), row(3)])
    assert uses == [PackUse(PACKS[0].name, 300), PackUse(PACKS[2].name, 100)]
