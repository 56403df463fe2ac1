"""Whole loads of a store with one damaged object: the right state, or an error that names the object."""

from __future__ import annotations

import random

import pytest

from ckstore.errors import CkError, CorruptError
from tests.corrupt.damage import N_STEPS, Small, Target, assert_names, assert_state, flipped

N_FLIPS = 120
NEWEST = f"main@{N_STEPS - 1}"


def outcomes(small: Small, target: Target, data: bytes | None) -> list[CkError | None]:
    """For each checkpoint the error of its load; None where it loaded and is right."""
    found: list[CkError | None] = []
    for step in range(N_STEPS):
        with small.fs.damaged(target.path, data):
            try:
                with small.opened() as store:
                    state = store.load(f"main@{step}")
            except CkError as error:
                found.append(error)
            else:
                assert_state(state, step)
                found.append(None)
    return found


def test_the_small_store_is_what_these_tests_need(small: Small) -> None:
    with small.opened() as store:
        for step in range(N_STEPS):
            assert_state(store.load(f"main@{step}"), step)
        codecs = {name for leaf in store.leaves(NEWEST) for name in leaf.codecs}
        assert max(leaf.max_chain for leaf in store.leaves(NEWEST)) >= N_STEPS
    assert codecs >= {"fill", "round", "inline", "raw"}
    assert codecs & {"delta_int", "delta_xor"}
    assert len(small.root.catalog) == 1
    assert {target.path.split("/")[0] for target in small.targets()} == {
        "root", "catalog", "manifest", "closure", "segment", "pack",
    }  # fmt: skip


def test_a_flip_in_any_object_gives_the_right_state_or_its_name(small: Small) -> None:
    rng = random.Random(5)
    for target in small.targets():
        for bit in rng.sample(range(8 * len(target.data)), N_FLIPS // len(small.targets())):
            for error in outcomes(small, target, flipped(target.data, bit)):
                assert error is None or isinstance(error, CorruptError)
                if error is not None:
                    assert_names(error, target.what)


def test_any_cut_of_any_object_gives_the_right_state_or_its_name(small: Small) -> None:
    rng = random.Random(6)
    for target in small.targets():
        for n in rng.sample(range(len(target.data)), 5):
            for error in outcomes(small, target, target.data[:n]):
                if error is not None:
                    assert_names(error, target.what)


@pytest.mark.parametrize("kind", ["manifest", "closure"])
@pytest.mark.parametrize("data", [b"", None], ids=["empty", "missing"])
def test_a_damaged_object_spoils_its_own_checkpoint_only(small: Small, kind: str, data: bytes | None) -> None:
    mine = [target for target in small.targets() if target.path.startswith(f"{kind}/")]
    assert len(mine) == N_STEPS
    for step, target in enumerate(mine):
        errors = outcomes(small, target, data)
        assert [error is None for error in errors] == [other != step for other in range(N_STEPS)]
        assert_names(errors[step], target.what)


def test_a_damaged_newest_root_is_never_replaced_by_an_older_one(small: Small) -> None:
    newest = next(target for target in small.targets() if target.what == f"root {small.root.number}")
    for data in (b"", newest.data[:-1], flipped(newest.data, 1000), bytes(len(newest.data))):
        errors = outcomes(small, newest, data)
        assert all(isinstance(error, CorruptError) for error in errors)
        assert_names(errors[0], newest.what)


def test_damaged_older_roots_and_segments_harm_no_load(small: Small) -> None:
    for target in small.targets():
        if target.path.startswith("segment/") or target.what in {f"root {n}" for n in range(1, small.root.number)}:
            assert outcomes(small, target, b"") == [None] * N_STEPS


def test_an_error_of_a_load_in_place_lists_what_was_overwritten(small: Small) -> None:
    pack = small.packs()[-1]
    with small.opened() as store:
        state = store.load(NEWEST)
    damaged = small.fs.damaged(pack.path, flipped(pack.data, 8 * 100))
    with damaged, small.opened() as store, pytest.raises(CorruptError) as caught:
        store.load(NEWEST, into=state)
    assert set(caught.value.overwritten) <= set(state)
