"""verify() reports every damage with the checkpoints it touches, and never raises for one."""

from __future__ import annotations

import random

import pytest

from ckstore.engine.health import verify_chunks
from ckstore.engine.health.found import Survey
from ckstore.engine.reports import VerifyReport
from ckstore.errors import UsageError
from ckstore.store import objects
from tests.corrupt.damage import N_STEPS, Small, Target, flipped
from tests.corrupt.test_frames import places
from tests.support.stores import once

SPOIL = ["manifest", "closure"]
REFS = [f"main@{step}" for step in range(N_STEPS)]


def verified(small: Small, target: Target, data: bytes | None, level: str) -> VerifyReport:
    with small.fs.damaged(target.path, data), small.opened() as store:
        return store.verify(level=level)


def of_kind(small: Small, kind: str) -> list[Target]:
    return [target for target in small.targets() if target.path.startswith(f"{kind}/")]


def damages_of(target: Target, others: list[Target]) -> dict[str, bytes | None]:
    """Each way to damage an object, its metadata included whichever way."""
    other = next((item for item in others if item.path != target.path), None)
    found = {"empty": b"", "missing": None, "cut": target.data[:-1], "header": flipped(target.data, 100)}
    found["end"] = flipped(target.data, 8 * len(target.data) - 1)
    return found | ({"another": other.data} if other else {})


@pytest.mark.parametrize("level", ["structure", "stored", "data"])
def test_a_whole_store_has_no_damage(small: Small, level: str) -> None:
    with small.opened() as store:
        report = store.verify(level=level)
    assert report.ok
    assert report.damages == []
    assert report.checked_objects >= len(small.targets()) - small.root.number - len(REFS)


@pytest.mark.parametrize("level", ["structure", "stored", "data"])
@pytest.mark.parametrize("kind", ["catalog", "manifest", "closure", "segment", "pack"])
def test_every_damage_is_reported_by_its_name(small: Small, kind: str, level: str) -> None:
    for target in of_kind(small, kind):
        for how, data in damages_of(target, of_kind(small, kind)).items():
            report = verified(small, target, data, level)
            assert not report.ok, how
            assert any(target.what in damage.object for damage in report.damages), (how, report.damages)


@pytest.mark.parametrize("kind", SPOIL)
def test_a_damaged_manifest_or_closure_is_reported_with_its_checkpoint(small: Small, kind: str) -> None:
    for step, target in enumerate(of_kind(small, kind)):
        for data in damages_of(target, of_kind(small, kind)).values():
            (damage,) = verified(small, target, data, "data").damages
            assert damage.checkpoints == [REFS[step]]


def test_a_missing_pack_is_reported_with_all_checkpoints_that_need_it(small: Small) -> None:
    first = of_kind(small, "pack")[0]
    for level in ("structure", "stored", "data"):
        report = verified(small, first, None, level)
        touched = {ref for damage in report.damages for ref in damage.checkpoints}
        assert touched == set(REFS)


@pytest.mark.parametrize("level", ["stored", "data"])
def test_a_flip_in_a_frame_is_reported_with_the_checkpoints_that_cannot_load(small: Small, level: str) -> None:
    for target, bit in places(small, 25, seed=11):
        data = flipped(target.data, bit)
        report = verified(small, target, data, level)
        touched = {ref for damage in report.damages for ref in damage.checkpoints}
        assert touched == set(lost(small, target, data))
        assert touched
        assert all(target.what in damage.object for damage in report.damages[:1])


def test_a_damaged_table_does_not_hide_a_damaged_frame(small: Small) -> None:
    """One bad stretch at the end of a pack may hit both."""
    for target, bit in places(small, 10, seed=12):
        data = flipped(flipped(target.data, bit), 8 * (len(target.data) - 60))
        report = verified(small, target, data, "stored")
        assert any(damage.object == target.what for damage in report.damages)
        assert {ref for damage in report.damages for ref in damage.checkpoints} == set(lost(small, target, data))


def test_a_pack_that_is_cut_short_is_reported_with_the_checkpoints_that_cannot_load(small: Small) -> None:
    for target in of_kind(small, "pack"):
        data = target.data[: len(target.data) // 2]
        report = verified(small, target, data, "stored")
        touched = {ref for damage in report.damages for ref in damage.checkpoints}
        assert touched == set(lost(small, target, data))
        assert touched


def lost(small: Small, target: Target, data: bytes | None) -> list[str]:
    """The checkpoints that do not load."""
    found = []
    with small.fs.damaged(target.path, data), small.opened() as store:
        for ref in REFS:
            try:
                store.load(ref)
            except Exception:
                found.append(ref)
    return found


def test_structure_alone_reads_no_frames(small: Small) -> None:
    target, bit = next(places(small, 1, seed=12))
    assert verified(small, target, flipped(target.data, bit), "structure").ok


@pytest.mark.parametrize("kind", ["root", "catalog", "manifest", "closure", "segment", "pack"])
def test_a_store_that_has_read_everything_before_sees_new_damage(small: Small, kind: str) -> None:
    """What is cached in memory says nothing of what is on disk."""
    newest = of_kind(small, kind)[-1]
    with small.opened() as store:
        assert store.verify(level="data").ok
        store.load()
        with small.fs.damaged(newest.path, flipped(newest.data, 8 * (len(newest.data) - 20))):
            report = store.verify(level="data")
    assert not report.ok
    assert any(newest.what in damage.object for damage in report.damages)


def test_several_damages_are_all_reported(small: Small) -> None:
    rng = random.Random(3)
    hit = rng.sample([target for target in small.targets() if not target.path.startswith("root/")], 4)
    for target in hit:
        small.fs.served[target.path] = target.data[:-1]
    try:
        with small.opened() as store:
            found = {damage.object for damage in store.verify(level="data").damages}
    finally:
        small.fs.served.clear()
    assert found >= {target.what for target in hit}


def test_a_directory_that_is_gone_is_damage_and_no_crash(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = small.fs.sizes

    def listed(directory: str) -> dict[str, int]:
        if directory == "segment":
            raise FileNotFoundError(2, "gone", directory)
        return sizes(directory)

    monkeypatch.setattr(small.fs, "sizes", listed)
    for target in of_kind(small, "segment"):
        small.fs.gone.add(target.path)
    try:
        with small.opened() as store:
            assert not store.verify().ok
    finally:
        small.fs.gone.clear()


@pytest.mark.parametrize("level", ["all", "", "STORED", None, 1])
def test_a_level_that_is_none_is_refused_with_those_there_are(small: Small, level: object) -> None:
    with small.opened() as store, pytest.raises(UsageError, match="structure, stored, data"):
        store.verify(level=level)


@pytest.mark.parametrize(
    ("level", "holder", "step"), [("data", verify_chunks, "decode_all"), ("stored", Survey, "users")]
)
def test_a_closure_that_goes_bad_between_two_looks_at_it_is_reported(
    small: Small, monkeypatch: pytest.MonkeyPatch, level: str, holder: object, step: str
) -> None:
    """Rows are not held but read again, and heads where there are too many to be held."""
    monkeypatch.setattr(objects, "_CACHED_HEADS", 0)
    target, pack = of_kind(small, "closure")[-1], of_kind(small, "pack")[0]
    once(holder, step, lambda: small.fs.served.update({target.path: flipped(target.data, 8 * (len(target.data) - 20))}))
    try:
        report = verified(small, pack, flipped(pack.data, 8 * 200), level)
    finally:
        small.fs.served.clear()
    assert {damage.object: damage.tensors for damage in report.damages}[target.what] == {REFS[-1]: ["*"]}
    assert any(damage.object.startswith(pack.what) for damage in report.damages)
