"""The catalog where it is at its limits: many pages, ids that begin alike, a root that other things fill."""

from __future__ import annotations

from pathlib import Path

import pytest

import ckstore
from ckstore.engine import catalog
from ckstore.format import envelope
from tests.support.states import CHUNK, assert_whole_and_tidy, keys
from tests.support.stores import before_commit, save
from tests.unit.store.opened import plant_root


@pytest.fixture
def store(fast_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nine checkpoints, all but the newest in pages of two."""
    monkeypatch.setattr(catalog, "PAGE_ENTRIES", 2)
    monkeypatch.setattr(catalog, "INLINE_ENTRIES", 1)
    with ckstore.open(fast_path / "store", create=True, chunk_elements=CHUNK) as opened:
        for step in range(9):
            save(opened, "main", step)
        yield opened


def test_an_entry_is_changed_in_whichever_page_it_lies(store):
    assert len(store._session.repo.root().catalog) == 4
    for step in range(9):
        store.tag(f"main@{step}", f"t{step}")
        assert store.checkpoint(f"t{step}").step == step
    for step in range(9):
        store.untag(f"t{step}")
    for step in (2, 3, 5):  # a whole page, and a part of one
        store.delete(f"main@{step}")
    assert [step for _, step in keys(store)] == [0, 1, 4, 6, 7, 8]
    with pytest.raises(ckstore.CheckpointNotFound):
        catalog.change(store._session.repo, None, store._session.repo.root(), bytes(32), lambda old: old)
    assert_whole_and_tidy(store)


def test_a_page_is_written_once_however_often_a_commit_is_tried(store, monkeypatch):
    """Commits of others come first; what was written in the place of the same page is taken again."""
    written: list[int] = []
    put = catalog._put_page
    monkeypatch.setattr(catalog, "_put_page", lambda writer, page: (written.append(page[0].step), put(writer, page))[1])
    with ckstore.open(store.path) as other:
        before_commit(store, lambda: [other.tag("main@8", name) for name in ("x", "y")])
        assert store.thin("main@3", "shared").dropped == ["shared"]
    assert written == [2]
    assert store.checkpoint("y").step == 8
    assert_whole_and_tidy(store)


def test_a_prefix_of_several_ids_is_refused_and_a_longer_one_is_not(store, monkeypatch):
    monkeypatch.setattr(catalog, "MIN_PREFIX", 1)
    for step in range(9, 17):  # of seventeen ids two begin with the same digit
        store.save({"n": step}, step=step)
    ids = [ck.id for ck in store.checkpoints()]
    digit = next(id_[0] for id_ in ids if [other[0] for other in ids].count(id_[0]) > 1)
    with pytest.raises(ckstore.ConflictError, match="give more digits"):
        store.checkpoint(digit)
    assert all(store.checkpoint(id_[:20]).id == id_ for id_ in ids)


def test_a_root_that_is_full_of_other_things_still_takes_the_newest_entry(fast_path):
    """What a newer version keeps there, say: no page without entries is made of it."""
    with ckstore.open(fast_path / "store", create=True, chunk_elements=CHUNK) as store:
        plant_root(store._session.repo, extra=envelope.encode_map({"hints": bytes(50_000)}))
        for step, pages in enumerate([[], [1], [2]]):
            save(store, "main", step)
            root = store._session.repo.root()
            assert ([ref.n_entries for ref in root.catalog], len(root.inline)) == (pages, 1)
        assert_whole_and_tidy(store)
