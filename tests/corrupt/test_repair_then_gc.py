"""A gc frees nothing where damage hides what is needed. It says what to do, and after a repair it works."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import ckstore
from ckstore.cli.app import main
from tests.corrupt.mended import Contents, assert_rest, contents, files, golden, no_syncs, store_at
from tests.support.paths import fast_path
from tests.support.states import strays

__all__ = ["contents", "fast_path", "golden", "no_syncs", "store_at"]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip_the_head(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-40] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("kind", ["closure", "catalog"])
@pytest.mark.parametrize("spoil", [flip_the_head, cut, Path.unlink])
def test_damage_that_stops_a_gc_is_repaired_and_the_next_gc_frees(kind, spoil, store_at: Path, contents: Contents):
    with ckstore.open(store_at) as store:
        (other,) = [ck.id for ck in store.checkpoints("other")]
        store.untag("good")
        store.delete(other)
        root = store._session.repo.root()
    named = {"closure": root.inline[0].closure, "catalog": root.catalog[0].page}
    victim = store_at / kind / named[kind].name
    spoil(victim)
    before = files(store_at, "pack")
    gc, repair = ["gc", str(store_at), "--grace", "0"], ["repair", str(store_at), "--apply"]
    stopped = CliRunner().invoke(main, gc)
    assert stopped.exit_code == 5
    assert f"{kind} {victim.name}" in stopped.stderr
    assert "nothing can be freed: `ckstore repair`" in stopped.stderr
    assert files(store_at, "pack") == before
    assert CliRunner().invoke(main, repair).exit_code == 0
    assert CliRunner().invoke(main, gc).exit_code == 0
    assert not victim.exists()
    assert len(files(store_at, "pack")) < len(before)
    with ckstore.open(store_at) as store:
        assert strays(store) == set()
        left = {id_: what for id_, what in contents.items() if id_ != other}
        assert_rest(store, store.repair(), left)
        assert len(store.checkpoints()) == len(left)
        assert store.verify("data").ok
