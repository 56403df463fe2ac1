"""After a crash at any moment every acknowledged checkpoint is there, and the next gc leaves nothing behind."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import ckstore
from tests.crash.scenarios import SCENARIOS, Delete, Play, Save, Scenario, fill
from tests.support.door import quickly
from tests.support.recording import Disk, Image, Log, Mark, Recorder, crashes, read_image
from tests.support.states import CHUNK, Key, assert_exact, assert_same, assert_whole_and_tidy, keys, state_of

SEED = 20


@dataclass
class Promise:
    """What must be in the store, what may be, and what must not."""

    made: bool
    must: dict[Key, tuple[str, ...]]
    may: dict[Key, tuple[str, ...]] = field(default_factory=dict)

    def mark(self, mark: Mark) -> None:
        match mark.what, mark.acknowledged:
            case "init", acknowledged:
                self.made = acknowledged
            case Save(key, tags), acknowledged:
                (self.must if acknowledged else self.may)[key] = tags
                if acknowledged:
                    self.may.pop(key)
            case Delete(key), False:
                self.may[key] = self.must.pop(key)
            case Delete(key), True:
                self.may.pop(key)

    def check(self, store: ckstore.Store) -> None:
        found = {(ck.run, ck.step): tuple(ck.tags) for ck in store.checkpoints()}
        assert len(found) == len(store.checkpoints())
        assert self.must.items() <= found.items()
        assert found.items() <= (self.must | self.may).items()


def record(path: Path, scenario: Scenario) -> tuple[Image, Log]:
    if scenario.saved is not None:
        fill(path / "store", *scenario.saved, deleted=scenario.deleted)
    before = read_image(path)
    recorder = Recorder(path)
    with recorder.installed():
        scenario.act(Play(path / "store", recorder))
    return before, recorder.log


def check_image(image: Image, path: Path, promise: Promise) -> None:
    """Open what is left, compare, collect, go on."""
    image.write(path)
    try:
        with ckstore.open(path / "store", create=not promise.made, **({} if promise.made else {"chunk_elements": CHUNK})) as store:
            promise.check(store)
            assert_whole_and_tidy(store)
            store.save(state_of("after", 1), run="after", step=1)
            assert_same(store.load("after@1"), state_of("after", 1))
    finally:
        shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_image_of_a_crash_holds_what_was_acknowledged(name, tmp_path, monkeypatch):
    monkeypatch.setenv("CKSTORE_THREADS", "1")
    scenario = SCENARIOS[name]
    before, log = record(tmp_path / "live", scenario)
    rng, seen = random.Random(f"{SEED} {name}"), set()
    promise = Promise(scenario.saved is not None, {key: () for key in scenario.saved or () if key not in scenario.deleted})
    disk = Disk(before)
    with quickly():
        for i, step in enumerate(log):
            if isinstance(step, Mark):
                promise.mark(step)
            else:
                disk.play(step)
            for kind, image in crashes(disk, rng).items():
                if (image.key, str(promise)) not in seen:
                    seen.add((image.key, str(promise)))
                    try:
                        check_image(image, tmp_path / "image", promise)
                    except Exception as error:
                        error.add_note(f"{name}: crash after {i}, {step}: {kind}; seed {SEED}")
                        raise
    print(name, len(log), len(seen))
