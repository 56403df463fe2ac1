"""repair(): damage any one object in any way; what it does not list as lost loads bit for bit, and nothing is wrong."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

import ckstore
from tests.corrupt.mended import Contents, assert_rest, check, contents, files, golden, no_syncs, spoil, store_at
from tests.support.paths import fast_path

__all__ = ["no_syncs", "contents", "fast_path", "golden", "store_at"]

KINDS = ("root", "catalog", "manifest", "closure", "segment", "pack")


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_of_a_kind_may_be_damaged(kind: str, golden: Path, fast_path: Path, contents: Contents) -> None:
    rng = random.Random(f"repair {kind}")
    for i, file in enumerate(files(golden, kind)):
        for n in range(4):
            path = fast_path / f"{i}-{n}"
            shutil.copytree(golden, path)
            how = spoil(path / kind / file.name, rng)
            try:
                check(path, contents)
            except BaseException as error:
                error.add_note(f"{kind} {file.name} {how}")
                raise
            shutil.rmtree(path)


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_repair_goes_on_past_a_damaged_newest_root(damage: str, store_at: Path, contents: Contents) -> None:
    newest = files(store_at, "root")[0]
    data = newest.read_bytes()
    bad = {"flipped": data[:90] + bytes([data[90] ^ 1]) + data[91:], "cut": data[:99], "empty": b""}
    newest.write_bytes(bad[damage])
    with pytest.raises(ckstore.CorruptError):
        ckstore.open(store_at)
    report = check(store_at, contents)
    assert report.losses == []
    with ckstore.open(store_at) as store:
        assert "good" not in {tag for ck in store.checkpoints() for tag in ck.tags}  # the lost root had made it
        assert {tag for ck in store.checkpoints() for tag in ck.tags} == {"tag-0", "tag-1", "tag-2"}
        store.gc(grace_s=0)
        assert_rest(store, report, contents)
        assert store.verify("data").ok


def test_a_checkpoint_whose_root_is_damaged_is_listed_again(store_at: Path, contents: Contents) -> None:
    for newest in files(store_at, "root")[:2]:  # the tag, and the save of other@0
        newest.write_bytes(b"")
    report = check(store_at, contents)
    assert [(loss.ref, loss.tensors) for loss in report.losses] == [("other@0", [])]  # its notes
    assert [remedy.object for remedy in report.remedies][1:] == ["checkpoint other@0"]
    with ckstore.open(store_at) as store:
        assert store.checkpoints()[-1].ref == "other@0"
        store.gc(grace_s=0)
        assert_rest(store, report, contents)
