"""The three kinds of feature flags, at every root that is read, for every verb: refuse, read only, or carry on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import ckstore
from ckstore.errors import UnsupportedError
from ckstore.format import envelope
from ckstore.format.names import root_path
from ckstore.format.records import Root
from ckstore.store.repository import Repository
from tests.support.door import quickly
from tests.support.paths import fast_path
from tests.support.states import CHUNK, keys
from tests.support.stores import save
from tests.unit.store.opened import plant_root

__all__ = ["fast_path"]

Verb = Callable[[ckstore.Store], Any]
READING: dict[str, Verb] = {
    "load": lambda store: store.load(),
    "partial load": lambda store: store.load(partial=True),
    "arrays": lambda store: store.arrays(),
    "checkpoints": lambda store: store.checkpoints(),
    "checkpoint": lambda store: store.checkpoint("t0"),
    "verify": lambda store: store.verify("data"),
    "stats": lambda store: store.stats(),
    "usage": lambda store: store.usage(),
    "leaves": lambda store: store.leaves("latest"),
    "gc preview": lambda store: store.gc(dry_run=True),
    "keep preview": lambda store: store.keep(ckstore.Keep(last=1), dry_run=True),
    "repair preview": lambda store: store.repair(),
}
WRITING: dict[str, Verb] = {
    "save": lambda store: save(store, "main", 3),
    "full save": lambda store: save(store, "other", 1, parent=None),
    "tag": lambda store: store.tag("latest", "new"),
    "move a tag": lambda store: store.tag("latest", "t0", move=True),
    "untag": lambda store: store.untag("t0"),
    "annotate": lambda store: store.annotate("t0", metrics={"a": 1.0}, meta={"b": 2}),
    "delete": lambda store: store.delete("main@1"),
    "thin": lambda store: store.thin("t0", drop="sometimes"),
    "keep": lambda store: store.keep(ckstore.Keep(last=1, thin=["shared"])),
    "gc": lambda store: store.gc(grace_s=0),
    "gc in need": lambda store: store.gc(grace_s=0, emergency=True),
    "repair": lambda store: store.repair(dry_run=False),
}
every = pytest.mark.parametrize("verb", WRITING)


@pytest.fixture(autouse=True)
def _no_syncs() -> Iterator[None]:
    with quickly():
        yield


@pytest.fixture
def store(fast_path: Path) -> Iterator[ckstore.Store]:
    """Three checkpoints, the first tagged, and what a gc can free."""
    with ckstore.open(fast_path / "store", create=True, chunk_elements=CHUNK) as opened:
        save(opened, "gone", 0, parent=None)
        for step in range(3):
            save(opened, "main", step, tags=["t0"] if step == 0 else [])
        opened.delete("gone@0")
        yield opened


def spoil_closure(store: ckstore.Store) -> None:
    file = Path(store.path, "closure", store._resolve("main@2").closure.name)
    file.write_bytes(file.read_bytes()[:-1])


def spoil_newest_root(store: ckstore.Store) -> None:
    number = store._session.repo.root().number
    Path(store.path, root_path(number)).write_bytes(b"")


@pytest.mark.parametrize("verb", {**READING, **WRITING})
@pytest.mark.parametrize("changes", [{"incompatible": ["encryption", "x"]}, {"major": 2}], ids=str)
def test_a_store_that_needs_a_newer_version_is_refused_by_everyone_who_has_it_open(store, verb, changes) -> None:
    number = plant_root(store._session.repo, **changes).number
    with pytest.raises(UnsupportedError, match=r"newer ckstore.*(encryption, x|format 2).*upgrade"):
        {**READING, **WRITING}[verb](store)
    assert store._session.repo.roots.newest_number() == number


@pytest.mark.parametrize("how", [{}, {"readonly": True}, {"create": True}], ids=str)
def test_and_by_everyone_who_opens_it(store, how) -> None:
    plant_root(store._session.repo, incompatible=["encryption"])
    with pytest.raises(UnsupportedError, match="encryption"):
        ckstore.open(store.path, **how)
    for dry_run in (True, False):
        with pytest.raises(UnsupportedError, match="encryption"):
            ckstore.repair(store.path, dry_run)


@every
def test_a_flag_that_forbids_writing_stops_every_writer_and_changes_nothing(store, verb) -> None:
    root = plant_root(store._session.repo, readonly_compatible=["parity"])
    before = keys(store)
    for used in (store, ckstore.open(store.path)):
        with used, pytest.raises(UnsupportedError, match="can only be read by this build: parity"):
            WRITING[verb](used)
    with ckstore.open(store.path) as again:
        assert again._session.repo.root() == root
        assert keys(again) == before
        assert not list(Path(store.path, "lease").iterdir())


@pytest.mark.parametrize("verb", READING)
def test_a_flag_that_forbids_writing_stops_no_reader(store, verb) -> None:
    plant_root(store._session.repo, readonly_compatible=["parity"])
    assert READING[verb](store) is not None
    with ckstore.open(store.path, readonly=True) as reader:
        assert READING[verb](reader) is not None


@pytest.mark.parametrize("changes", [{"readonly_compatible": ["parity"]}, {"incompatible": ["parity"]}], ids=str)
@every
def test_a_flag_that_comes_while_a_writer_is_at_work_stops_its_commit(store, verb, changes) -> None:
    if verb == "repair":
        spoil_closure(store)
    other = Repository(store._session.repo.fs)
    publish, planted = type(other.roots).publish, []

    def late(roots: Any, root: Root, temporary: str) -> Root | None:
        if not planted:
            planted.append(plant_root(other, **changes))
        return publish(roots, root, temporary)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(other.roots), "publish", late)
        with pytest.raises(UnsupportedError, match="parity"):
            WRITING[verb](store)
    assert other.roots.newest_number() == planted[0].number


def carried(store: ckstore.Store) -> tuple[list[str], bytes, bytes]:
    """(compatible flags, extra keys of the root, extra keys of the entry tagged t0 or the first)."""
    root = store._session.repo.root()
    entry = store._resolve(store.checkpoints()[0])
    return root.compatible, bytes(root.extra), bytes(entry.extra)


ROOT_EXTRA = envelope.encode_map({"future": [1, {"a": b"b", "c": None}], "z": 1.5})
ENTRY_EXTRA = envelope.encode_map({"later": ["x", 2]})


def with_future(store: ckstore.Store) -> None:
    """A store to which a later version has added what this one does not know."""
    root = store._session.repo.root()
    first = msgspec.structs.replace(root.inline[0], extra=ENTRY_EXTRA)
    plant_root(store._session.repo, compatible=["hints", "b"], extra=ROOT_EXTRA, inline=[first, *root.inline[1:]])


@every
def test_what_is_compatible_is_carried_through_every_verb(store, verb) -> None:
    with_future(store)
    number = store._session.repo.root().number
    if verb == "repair":
        spoil_closure(store)
    WRITING[verb](store)
    assert store._session.repo.root().number > number
    compatible, root_extra, entry_extra = carried(store)
    assert (compatible, root_extra) == (["hints", "b"], bytes(ROOT_EXTRA))
    if store.checkpoints()[0].step == 0:  # else it was deleted
        assert envelope.decode_map(msgspec.Raw(entry_extra), "entry").items() >= {"later": ["x", 2]}.items()


def test_it_is_carried_past_a_damaged_root_too(store) -> None:
    with_future(store)
    store.tag("latest", "lost")
    spoil_newest_root(store)
    assert ckstore.repair(store.path, dry_run=False).losses == []
    with ckstore.open(store.path) as again:
        assert carried(again) == (["hints", "b"], bytes(ROOT_EXTRA), bytes(ENTRY_EXTRA))


@pytest.mark.parametrize("changes", [{"readonly_compatible": ["parity"]}, {"incompatible": ["parity"]}], ids=str)
def test_a_repair_does_not_pass_by_the_flags_of_the_root_it_goes_back_to(store, changes) -> None:
    plant_root(store._session.repo, **changes)
    number = store._session.repo.roots.newest_number()
    Path(store.path, root_path(number + 1)).write_bytes(b"damaged")
    with pytest.raises(UnsupportedError, match="parity"):
        ckstore.repair(store.path, dry_run=False)
    assert store._session.repo.roots.newest_number() == number + 1


def test_what_a_newer_version_wrote_is_not_called_damage(store) -> None:
    """An object with a newer envelope, whole by its own check."""
    entry = store._resolve("main@2")
    file = Path(store.path, "closure", entry.closure.name)
    data = bytearray(file.read_bytes())
    data[9] = 2
    data[12:16] = envelope._check(bytes(data[:56])).to_bytes(4, "little")
    file.write_bytes(data)
    for use in (store.verify, store.repair, lambda: store.load("main@2", partial=True)):
        with pytest.raises(UnsupportedError, match="newer ckstore"):
            use()
