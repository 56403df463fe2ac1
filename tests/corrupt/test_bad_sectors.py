"""A disk that answers EIO: verify reports what cannot be read, by its name, and goes on to the rest."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ckstore.errors import StorageError
from ckstore.format.names import DIRECTORY
from tests.corrupt.damage import N_STEPS, SECTOR_BYTES, DamagedFs, Small, Target

KINDS = [kind for kind in DIRECTORY.values() if kind != "root"]


@contextmanager
def unreadable(small: Small, path: str, start: int = 0, stop: int = 1 << 62) -> Iterator[None]:
    """Every read that touches these bytes of `path` fails."""
    pread = DamagedFs.pread

    def refuse(self: DamagedFs, fd: int, n_bytes: int, offset: int, where: str) -> bytes:
        if where == path and offset < stop and start < offset + n_bytes:
            raise StorageError(f"cannot read {where}: Input/output error", errno.EIO, path=where)
        return pread(self, fd, n_bytes, offset, where)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DamagedFs, "pread", refuse)
        yield


def of_kind(small: Small, kind: str) -> list[Target]:
    return [target for target in small.targets() if target.path.startswith(f"{kind}/")]


@pytest.mark.parametrize("level", ["structure", "stored", "data"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_cannot_be_read_is_damage_of_that_object(small: Small, kind: str, level: str) -> None:
    for target in of_kind(small, kind):
        with unreadable(small, target.path), small.opened() as store:
            report = store.verify(level=level)
        assert not report.ok
        named = {damage.object.partition(",")[0] for damage in report.damages}
        if (kind, level) == ("pack", "data"):
            assert target.what in named  # and the frames of other packs that are based on it
        else:
            assert named == {target.what}


@pytest.mark.parametrize("kind", ["manifest", "closure"])
def test_a_checkpoint_whose_lists_cannot_be_read_is_named(small: Small, kind: str) -> None:
    for step, target in enumerate(of_kind(small, kind)):
        with unreadable(small, target.path), small.opened() as store:
            (damage,) = store.verify(level="stored").damages
        assert damage.checkpoints == [f"main@{step}"]


@pytest.mark.parametrize("level", ["stored", "data"])
def test_a_bad_sector_of_a_pack_spoils_the_frames_in_it_and_no_others(small: Small, level: str) -> None:
    target = of_kind(small, "pack")[0]
    with unreadable(small, target.path, 100, 100 + SECTOR_BYTES), small.opened() as store:
        report = store.verify(level=level)
        table = store._session.repo.packs.table(next(ref for ref in _refs(store) if target.path.endswith(ref.name)))
    hit = {row.offset for row in table if row.offset < 100 + SECTOR_BYTES and row.offset + row.frame_bytes > 100}
    assert {damage.object for damage in report.damages} >= {f"{target.what}, frame at {offset}" for offset in hit}
    assert 0 < len(hit) < len(table)
    if level == "stored":
        assert len(report.damages) == len(hit)
    touched = {ref for damage in report.damages for ref in damage.checkpoints}
    assert touched == {f"main@{step}" for step in range(N_STEPS)}


def _refs(store):
    repo = store._session.repo
    return [pack for ref in repo.root().segments for pack in repo.objects.segment(ref).packs]


def test_a_directory_of_packs_that_cannot_be_listed_is_damage_of_its_own(small: Small, monkeypatch) -> None:
    sizes = small.fs.sizes

    def listed(directory: str) -> dict[str, int]:
        if directory == "pack":
            raise StorageError("cannot list pack: Input/output error", errno.EIO, path=directory)
        return sizes(directory)

    monkeypatch.setattr(small.fs, "sizes", listed)
    with small.opened() as store:
        (damage,) = store.verify(level="data").damages
    assert "cannot list pack" in damage.problem
