"""verify() names the tensors that a damage touches, in every checkpoint, through chains of deltas."""

from __future__ import annotations

import pytest

from ckstore.engine.health import verify_chunks
from ckstore.engine.parent import load_closure
from ckstore.errors import CkError, FormatError, UnsupportedError
from tests.corrupt.damage import N_STEPS, Small, Target, flipped, state_at
from tests.corrupt.test_frames import places
from tests.corrupt.test_verify import REFS, of_kind, verified

Tensors = set[tuple[str, str]]


def unreadable(small: Small, target: Target, data: bytes | None) -> Tensors:
    """(checkpoint, tensor) of all that do not load."""
    found = set()
    with small.fs.damaged(target.path, data), small.opened() as store:
        for step, ref in enumerate(REFS):
            for name in state_at(step):
                try:
                    store.load(ref, select=name)
                except CkError:
                    found.add((ref, name))
    return found


def named(report) -> Tensors:
    return {(ref, path) for damage in report.damages for ref, paths in damage.tensors.items() for path in paths}


@pytest.mark.parametrize("level", ["stored", "data"])
def test_a_flip_in_a_frame_names_exactly_the_tensors_that_cannot_be_read(small: Small, level: str) -> None:
    for target, bit in places(small, 25, seed=21):
        data = flipped(target.data, bit)
        (damage,) = verified(small, target, data, level).damages
        expected = unreadable(small, target, data)
        assert {(ref, path) for ref, paths in damage.tensors.items() for path in paths} == expected
        assert expected
        assert set(damage.tensors) == set(damage.checkpoints)


@pytest.mark.parametrize("level", ["structure", "stored", "data"])
def test_a_missing_pack_names_the_tensors(small: Small, level: str) -> None:
    for target in of_kind(small, "pack"):
        report = verified(small, target, None, level)
        assert [damage.object for damage in report.damages] == [target.what]
        assert named(report) == unreadable(small, target, None)


def test_a_pack_that_is_cut_short_names_the_tensors(small: Small) -> None:
    for target in of_kind(small, "pack"):
        data = target.data[: len(target.data) // 2]
        assert named(verified(small, target, data, "stored")) == unreadable(small, target, data)


def test_a_damaged_manifest_is_all_of_its_checkpoint_and_a_damaged_closure_all_that_has_chunks(small: Small) -> None:
    for step, target in enumerate(of_kind(small, "manifest")):
        (damage,) = verified(small, target, target.data[:-1], "stored").damages
        assert damage.tensors == {REFS[step]: ["*"]}
    for step, target in enumerate(of_kind(small, "closure")):
        report = verified(small, target, target.data[:-1], "stored")
        assert named(report) == unreadable(small, target, target.data[:-1])
        assert {ref for ref, _ in named(report)} == {REFS[step]}


def test_a_chunk_that_decodes_to_something_else_is_one_damage_of_all_that_need_it(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only level "data" can see it; what is based on it is touched, and no damage of its own."""
    with small.opened() as store:
        rows, _ = load_closure(store._session.repo, small.entries[0])
        based = {
            base for entry in small.entries for row in load_closure(store._session.repo, entry)[0] for base in row.bases
        }
        wrong = rows[min(based)]
    into = verify_chunks.Decoder.into

    def spoilt(self, i, out):
        into(self, i, out)
        if self._needs(i):
            out[0] ^= 1

    def needs(self, i):
        todo = [i]
        while todo:
            row = self._rows[todo.pop()]
            if row.chunk_id == wrong.chunk_id:
                return True
            todo.extend(row.bases)
        return False

    monkeypatch.setattr(verify_chunks.Decoder, "_needs", needs, raising=False)
    monkeypatch.setattr(verify_chunks.Decoder, "into", spoilt)
    with small.opened() as store:
        assert store.verify("stored").ok
        (damage,) = store.verify("data").damages
    assert damage.object == f"pack {wrong.pack.name}, frame at {wrong.offset}"
    assert damage.checkpoints == REFS
    assert all("weight" in damage.tensors[f"main@{step}"] for step in range(N_STEPS))


@pytest.mark.parametrize("error", [FormatError, UnsupportedError])
def test_a_frame_that_does_not_decode_is_damage_unless_a_newer_version_could(
    small: Small, monkeypatch: pytest.MonkeyPatch, error: type[CkError]
) -> None:
    with small.opened() as store:
        wrong = load_closure(store._session.repo, small.entries[-1])[0][-1]
    into = verify_chunks.Decoder.into

    def refuse(self, i, out):
        if self._rows[i].chunk_id == wrong.chunk_id:
            raise error("no such stream", object="frame")
        into(self, i, out)

    monkeypatch.setattr(verify_chunks.Decoder, "into", refuse)
    with small.opened() as store:
        if error is UnsupportedError:
            with pytest.raises(UnsupportedError):
                store.verify("data")
        else:
            (damage,) = store.verify("data").damages
            assert damage.object == f"pack {wrong.pack.name}, frame at {wrong.offset}"
            assert f"main@{N_STEPS - 1}" in damage.tensors
