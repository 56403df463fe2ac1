"""What is listed again comes in commit order: there is no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

import ckstore
from ckstore.engine.gc import trim
from ckstore.engine.republish import EPOCH, first_epoch
from ckstore.format import envelope
from ckstore.format.records import Manifest
from tests.corrupt.forgetful import forget, pages, state, store_at
from tests.corrupt.mended import flip, flip_newest_root, no_syncs
from tests.support.paths import fast_path
from tests.support.states import keys
from tests.support.stores import before_commit

__all__ = ["fast_path", "no_syncs", "store_at"]


def _nothing(store: ckstore.Store) -> None:
    """Old roots tell of everything."""


@pytest.mark.parametrize("history", [_nothing, forget])
@pytest.mark.parametrize("lost", [(0,), (1,), (0, 2), (0, 1), (1, 2, 3), (0, 3)])
@pytest.mark.parametrize("newest", [False, True], ids=["pages", "pages and newest root"])
def test_lost_pages_are_filled_in_commit_order(
    store_at: Path, monkeypatch: pytest.MonkeyPatch, history: Callable[[ckstore.Store], None], lost: tuple[int, ...],
    newest: bool,
) -> None:  # fmt: skip
    """Also where some were thinned since: their manifests are newer than they are."""
    monkeypatch.setattr(trim, "KEEP_ROOTS", 3 if history is forget else 1000)
    with ckstore.open(store_at) as store:
        for step in range(36):
            store.save({"a": state(step), "b": state(-step)}, run=f"run{step % 2}", step=step)
        for step in (0, 3, 9, 17):
            store.thin(f"run{step % 2}@{step}", drop=["b.*"])
        history(store)
        store.save(state(36), run="last", step=36)
        before, spoilt = keys(store), [pages(store)[i] for i in lost]
        assert len(pages(store)) == 4
    for page in spoilt:
        flip(page)
    if newest:
        flip_newest_root(store_at)
    report = ckstore.repair(store_at, dry_run=False)
    assert [loss for loss in report.losses if loss.tensors] == []
    with ckstore.open(store_at) as store:
        assert keys(store) == before
        assert store.checkpoint("latest").ref == "last@36"
        store.gc(grace_s=0)
        assert store.verify("data").ok


def test_a_page_whose_last_version_is_left_is_filled_in_its_order(
    store_at: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the version before nothing is left, and older roots tell only what had not come to the page by then."""
    with ckstore.open(store_at) as store:
        for step in range(12):
            store.save(state(step), step=step)
        forget(store)
        monkeypatch.setattr(trim, "KEEP_ROOTS", 1000)
        for step in range(12, 15):
            store.save(state(step), step=step)
        store.gc(grace_s=0)
        store.tag("main@0", "mine")
        before, page = keys(store), pages(store)[0]
    flip(page)
    assert ckstore.repair(store_at, dry_run=False).losses == []
    with ckstore.open(store_at) as store:
        assert keys(store) == before


def test_one_save_that_took_long_does_not_mix_up_two_lost_pages(store_at: Path) -> None:
    """It comes first in the page between them, and began before most of what is in the one before."""

    def meanwhile() -> None:
        with ckstore.open(store_at) as other:
            for step in range(1, 8):
                other.save(state(step), step=step)

    with ckstore.open(store_at) as store:
        store.save(state(0), step=0)
        before_commit(store, meanwhile)
        for step in range(8, 36):
            store.save(state(step), step=step)
        forget(store)
        before, spoilt = keys(store), [pages(store)[i] for i in (0, 2)]
    for page in spoilt:
        flip(page)
    ckstore.repair(store_at, dry_run=False)
    with ckstore.open(store_at) as store:
        assert keys(store) == before


def test_a_damaged_manifest_between_two_lost_pages_is_passed_over(store_at: Path) -> None:
    with ckstore.open(store_at) as store:
        for step in range(36):
            store.save(state(step), step=step)
        forget(store)
        before, spoilt = keys(store), [pages(store)[i] for i in (0, 2)]
        manifest = store_at / "manifest" / store._resolve("main@8").manifest.name
    for file in (*spoilt, manifest):
        file.write_bytes(file.read_bytes()[:-1])
    assert [loss.ref for loss in ckstore.repair(store_at, dry_run=False).losses if loss.tensors] == ["main@8"]
    with ckstore.open(store_at) as store:
        assert keys(store) == before


@pytest.mark.parametrize("noted", [7, 8, -1, 1.5, "6", None])
def test_an_epoch_that_cannot_be_is_not_believed(noted: object) -> None:
    """A later manifest has the greater epoch."""
    head = Manifest("main", 0, 0, bytes(16), 0, 0, [], envelope.encode_map({EPOCH: noted}))
    assert first_epoch(head, f"7-{0:016x}-1") == 7
    assert first_epoch(replace(head, extra=envelope.encode_map({EPOCH: 6})), f"7-{0:016x}-1") == 6
