"""load(partial=True): what is damaged is left out and named, the rest is exact, and nothing is half there."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import ckstore
from ckstore.engine.health import intact
from ckstore.engine.restore import load as table_of
from tests.support.paths import fast_path
from tests.support.states import assert_same

__all__ = ["fast_path"]

CHUNK = 1024


def noise(seed: int, n: int = 3000) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=n).astype("f4")


@pytest.fixture
def store(fast_path: Path) -> Iterator[ckstore.Store]:
    with ckstore.open(fast_path / "store", create=True, chunk_elements=CHUNK) as opened:
        yield opened


def spoil(store: ckstore.Store, path: tuple[Any, ...], chunk: int = 0, ref: str = "latest") -> None:
    """Flip a bit in the frame of a chunk of a tensor."""
    session, entry = store._session, store._resolve(ref)
    (columns,) = [columns for row, columns in table_of(session, entry) if row.path == path]
    (row,) = [row for row in session.parent(entry).rows if row.chunk_id == columns.chunk_id(chunk)]
    file = Path(store.path, "pack", row.pack.name)
    data = bytearray(file.read_bytes())
    data[row.offset + row.frame_bytes - 1] ^= 1
    file.write_bytes(data)


def partial(store: ckstore.Store, *args: Any, **how: Any) -> tuple[Any, dict[str, str]]:
    """(state, what is missing)"""
    with pytest.warns(ckstore.DamageWarning) as warned:
        state = store.load(*args, partial=True, **how)
    (warning,) = warned
    assert warning.filename == __file__
    return state, warning.message.missing


def test_a_whole_checkpoint_loads_as_ever_without_a_warning(store):
    state = {"a": noise(1), "b": [noise(2), 3]}
    store.save(state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(store.load(partial=True), state)


@pytest.mark.parametrize("chunk", [0, 1, 2])
def test_a_damaged_tensor_is_left_out_and_named_with_its_frame(store, chunk):
    store.save({"a": noise(1), "b": {"c": noise(2), "d": 5}, "small": np.ones(3)})
    spoil(store, ("b", "c"), chunk)
    state, missing = partial(store)
    assert_same(state, {"a": noise(1), "b": {"d": 5}, "small": np.ones(3)})
    assert list(missing) == ["b.c"]
    assert "frame at" in missing["b.c"]
    with pytest.raises(ckstore.CorruptError):
        store.load()


def test_what_depends_on_a_damaged_frame_by_deltas_is_missing_too(store):
    base = noise(1)
    for step in range(3):
        store.save({"a": base * np.float32(1 + 1e-5 * step), "b": noise(2)}, step=step)
    assert max(leaf.max_chain for leaf in store.leaves("main@2")) == 3
    spoil(store, ("a",), ref="main@0")
    for step in range(3):
        state, missing = partial(store, f"main@{step}")
        assert_same(state, {"b": noise(2)})
        assert list(missing) == ["a"]


def test_holes_in_lists_are_none_and_empty_containers_go_as_with_select(store):
    store.save({"list": [noise(1), noise(2)], "tuple": (noise(3), 4), "only": {"deep": {"x": noise(5)}}, "empty": {}})
    for path in (("list", 0), ("tuple", 0), ("only", "deep", "x")):
        spoil(store, path)
    state, missing = partial(store)
    assert_same(state, {"list": [None, noise(2)], "tuple": (None, 4), "empty": {}})
    assert set(missing) == {"list.0", "tuple.0", "only.deep.x"}


def test_a_composite_with_a_damaged_part_is_missing_as_a_whole(store):
    values = np.ma.MaskedArray(noise(1), np.random.default_rng(0).random(3000) < 0.5)
    store.save({"m": values, "n": np.ma.MaskedArray(noise(2), noise(2) > 0)})
    spoil(store, ("m", "data"))
    state, missing = partial(store)
    assert list(state) == ["n"]
    assert list(missing) == ["m"]
    assert "m.data" in missing["m"]


def test_tied_tensors_are_missing_together(store):
    shared = noise(1)
    store.save({"a": shared, "b": shared, "c": noise(2)})
    spoil(store, ("b",))
    state, missing = partial(store)
    assert_same(state, {"c": noise(2)})
    assert set(missing) == {"a", "b"}


def test_other_tied_tensors_stay_and_stay_tied(store):
    lost, kept = noise(1), noise(2)
    store.save({"a": lost, "b": lost, "c": kept, "d": kept})
    spoil(store, ("a",))
    state, missing = partial(store)
    assert_same(state, {"c": kept, "d": kept})
    assert state["c"] is state["d"]
    assert set(missing) == {"a", "b"}


def test_views_of_one_buffer_are_missing_together(store):
    whole = noise(1, 6000)
    store.save({"front": whole[:4000], "back": whole[3000:], "c": noise(2)})
    spoil(store, ("back",), chunk=2)
    state, missing = partial(store)
    assert_same(state, {"c": noise(2)})
    assert set(missing) == {"front", "back"}
    assert "shares memory with back" in missing["front"]


def test_select_and_partial_go_together(store):
    store.save({"a": noise(1), "b": noise(2), "c": noise(3)})
    spoil(store, ("b",))
    state, missing = partial(store, select=["a", "b"])
    assert_same(state, {"a": noise(1)})
    assert list(missing) == ["b"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(store.load(select="c", partial=True), {"c": noise(3)})


def test_into_keeps_what_it_had_where_the_checkpoint_is_damaged(store):
    store.save({"a": noise(1), "b": [noise(2)], "step": 5})
    spoil(store, ("a",), chunk=2)
    live = {"a": np.full(3000, 7, "f4"), "b": [np.zeros(3000, "f4")], "step": 0}
    a, b = live["a"], live["b"][0]
    state, missing = partial(store, into=live)
    assert state is live
    assert state["a"] is a
    assert (a == 7).all()
    assert b.tobytes() == noise(2).tobytes()
    assert live["step"] == 5
    assert list(missing) == ["a"]


def test_with_a_damaged_closure_small_and_plain_leaves_are_left(store):
    store.save({"a": noise(1), "small": np.ones(3), "step": 5})
    file = next(Path(store.path, "closure").iterdir())
    file.write_bytes(file.read_bytes()[:-1])
    state, missing = partial(store)
    assert_same(state, {"small": np.ones(3), "step": 5})
    assert "ckstore repair" in missing["a"]


def test_where_nothing_is_intact_that_is_an_error(store):
    store.save({"a": noise(1), "b": noise(2)})
    for path in (("a",), ("b",)):
        spoil(store, path)
    with pytest.raises(ckstore.CorruptError, match="nothing of what was asked for is intact"):
        store.load(partial=True)


def test_a_single_damaged_tensor_as_state_is_an_error(store):
    store.save(noise(1))
    spoil(store, ())
    with pytest.raises(ckstore.CorruptError, match="nothing"):
        store.load(partial=True)


def test_a_pack_that_is_missing_and_a_pack_that_is_cut(store):
    state = {str(i): noise(i) for i in range(6)}
    store.save(state)
    (pack,) = Path(store.path, "pack").iterdir()
    data = pack.read_bytes()
    pack.write_bytes(data[: len(data) // 2])
    found, missing = partial(store)
    assert 0 < len(found) < 6
    assert set(found) | set(missing) == set(state)
    assert_same(found, {key: state[key] for key in found})
    pack.unlink()
    store._session.repo.packs.close_idle()
    with pytest.raises(ckstore.CorruptError, match="not in the store"):
        store.load(partial=True)


def test_wrong_bytes_with_right_checks_are_missing_even_without_verify(store, monkeypatch):
    """As with a bug of an encoder: only the chunk id tells."""
    store.save({"a": noise(1), "b": noise(2)})
    good = intact.Decoder.chunk
    bad_id = table_of(store._session, store._resolve("latest"))[1][1].chunk_id(1)

    def wrong(self, i):
        data = bytearray(good(self, i))
        data[5] ^= self._rows[i].chunk_id == bad_id
        return data

    monkeypatch.setattr(intact.Decoder, "chunk", wrong)
    state, missing = partial(store, verify=False)
    assert_same(state, {"b": noise(2)})
    assert "BLAKE3" in missing["a"]


def test_torch_states_too(store):
    torch = pytest.importorskip("torch")
    weight = torch.nn.Parameter(torch.randn(3000))
    store.save({"w": weight, "tied": weight, "sparse": torch.eye(60).to_sparse(), "other": torch.randn(3000)})
    spoil(store, ("w",))
    state, missing = partial(store)
    assert set(state) == {"sparse", "other"}
    assert set(missing) == {"w", "tied"}


def test_a_closure_that_a_gc_has_replaced_is_taken_from_the_newest_root(store, monkeypatch):
    """A file that is missing because it moved is no damage."""
    store.save({"a": noise(1)})
    entry = store._resolve("latest")
    gone = replace(entry.closure, name="9-0123456789abcdef-1")
    monkeypatch.setattr(store, "_resolve", lambda ref: replace(entry, closure=gone))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(store.load(partial=True), {"a": noise(1)})
