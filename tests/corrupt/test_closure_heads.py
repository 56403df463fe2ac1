"""gc trusts the head of a closure: which packs and holders a checkpoint needs. verify checks it against its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest

from ckstore.format import closure
from ckstore.format.closure import pack_uses
from ckstore.format.names import CLOSURE, MANIFEST
from ckstore.format.records import Closure, PackUse
from tests.corrupt.damage import N_STEPS, Small
from tests.corrupt.forge import NAME, Forger

Spoil = Callable[[list[PackUse]], list[PackUse]]
PACKS: dict[str, Spoil] = {
    "one left out": lambda uses: uses[1:],
    "one too many": lambda uses: [*uses, PackUse(NAME + "9", 1)],
    "one twice": lambda uses: [*uses, uses[0]],
    "fewer bytes": lambda uses: [PackUse(uses[0].name, uses[0].used_bytes - 1), *uses[1:]],
    "none": lambda uses: [],
}
HOLDERS = {
    "a manifest too many": [(MANIFEST, NAME + "9")],
    "a closure too many": [(CLOSURE, NAME + "9")],
    "another kind": [(5, NAME + "9")],
}


@pytest.fixture
def forger(small: Small) -> Iterator[Forger]:
    yield Forger(small)
    small.fs.served.clear()


def damages(forger: Forger, pages: list[bytes], **head: object) -> list[tuple[str, list[str]]]:
    with forger.store(closure=forger.put_closure(pages, **head)) as store:
        return [(damage.object, damage.checkpoints) for damage in store.verify(level="structure").damages]


NEWEST = [(f"closure {NAME}2", [f"main@{N_STEPS - 1}"])]


def test_a_head_that_fits_its_rows_is_no_damage(forger: Forger) -> None:
    assert damages(forger, [forger.closure_page()]) == []


@pytest.mark.parametrize("how", PACKS)
def test_a_list_of_packs_that_does_not_fit_the_rows_is_damage(forger: Forger, how: str) -> None:
    uses = PACKS[how](pack_uses(forger.rows))
    assert damages(forger, [forger.closure_page()], packs=uses) == NEWEST


@pytest.mark.parametrize("how", HOLDERS)
def test_a_list_of_holders_that_does_not_fit_the_pages_is_damage(forger: Forger, how: str) -> None:
    assert damages(forger, [forger.closure_page()], holders=HOLDERS[how]) == NEWEST


def test_a_holder_that_is_not_listed_is_damage(forger: Forger) -> None:
    """A gc would delete it, and with it a page of this checkpoint."""
    elsewhere = forger.put_closure([forger.closure_page()])
    forger.small.fs.served[f"closure/{NAME}5"] = forger.small.fs.served[f"closure/{elsewhere.name}"]
    head = msgspec.structs.replace(forger.closure, holders=[])
    pages = [msgspec.structs.replace(page, holder=NAME + "5") for page in _pages(forger)]
    closed = forger.put_head(CLOSURE, msgspec.msgpack.encode(msgspec.structs.replace(head, pages=pages)))
    with forger.store(closure=closed) as store:
        (damage,) = store.verify(level="structure").damages
    assert damage.object == f"closure {closed.name}"
    assert "holders" in damage.problem


def _pages(forger: Forger) -> list[object]:
    data = forger.small.fs.served[f"closure/{NAME}5"]
    head = msgspec.msgpack.decode(data[int.from_bytes(data[32:40], "little") : -32], type=Closure)
    return head.pages


@pytest.mark.parametrize("n_rows", [0, 1 << 40])
def test_a_count_of_rows_that_is_wrong_is_damage(forger: Forger, n_rows: int) -> None:
    assert damages(forger, [forger.closure_page()], n_rows=n_rows) == NEWEST


def test_a_checkpoint_whose_pages_its_parent_holds_is_whole(small: Small, monkeypatch, tmp_path) -> None:
    import ckstore

    monkeypatch.setattr(closure, "ROWS_PER_PAGE", 2)
    with ckstore.open(tmp_path / "store", create=True, chunk_elements=1024) as store:
        from tests.corrupt.damage import state_at

        for step in range(3):
            store.save(state_at(0) | {"bias": state_at(step)["bias"]}, step=step)
        entry = store._session.repo.root().inline[-1]
        assert store._session.repo.objects.closure(entry.closure).holders
        assert store.verify(level="data").ok
