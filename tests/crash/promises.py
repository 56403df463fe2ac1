"""What a store owes at a moment of a recording, and whether an image of a crash then keeps it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ckstore
from tests.crash.scenarios import STORE, Delete, Save, Scenario
from tests.support.recording import Image, Mark
from tests.support.states import CHUNK, Key, assert_same, assert_whole_and_tidy, state_of

Tags = tuple[str, ...]


@dataclass
class Promise:
    """What must be in the store, and what may be; nothing else may."""

    made: bool
    must: dict[Key, Tags]
    may: dict[Key, Tags] = field(default_factory=dict)

    @classmethod
    def before(cls, scenario: Scenario) -> Promise:
        kept = {key: () for key in scenario.saved or () if key not in scenario.deleted}
        return cls(scenario.saved is not None, kept)

    def heed(self, mark: Mark) -> None:
        """From this mark on something more is owed, or something less."""
        match mark.what, mark.acknowledged:
            case "init", acknowledged:
                self.made = acknowledged
            case Save(key, tags), False:
                self.may[key] = tags
            case Save(key, tags), True:
                self.must[key] = self.may.pop(key)
            case Delete(key), False:
                self.may[key] = self.must.pop(key)
            case Delete(key), True:
                del self.may[key]

    def check(self, store: ckstore.Store) -> None:
        found = {(ck.run, ck.step): tuple(ck.tags) for ck in store.checkpoints()}
        assert len(found) == len(store.checkpoints())
        assert self.must.items() <= found.items()
        assert found.items() <= (self.must | self.may).items()

    def check_image(self, image: Image, path: Path, go_on: bool) -> None:
        """Open what is left, or make it again if it was never made; compare, collect, and save once more."""
        how: dict[str, Any] = {} if self.made else {"create": True, "chunk_elements": CHUNK}
        image.write(path)
        try:
            with ckstore.open(path / STORE, **how) as store:
                self.check(store)
                assert_whole_and_tidy(store)
                if go_on:
                    store.save(state_of("after", 1), run="after", step=1)
                    assert_same(store.load("after@1"), state_of("after", 1))
        finally:
            shutil.rmtree(path, ignore_errors=True)
