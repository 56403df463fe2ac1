"""Whether an image of a crash keeps what its store had promised."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import ckstore
from tests.crash.scenarios import STORE, Scenario
from tests.support.marks import Promise
from tests.support.recording import Image
from tests.support.states import CHUNK, assert_same, assert_whole_and_tidy, state_of


def promise_before(scenario: Scenario) -> Promise:
    """What the store owes before the scenario begins."""
    kept = {key: () for key in scenario.saved or () if key not in scenario.deleted}
    return Promise(scenario.saved is not None, kept, damaged=scenario.damaged)


def check_image(promise: Promise, image: Image, path: Path, go_on: bool) -> None:
    """Open what is left, or make it again if it was never made; compare, collect, and save once more."""
    how: dict[str, Any] = {} if promise.made else {"create": True, "chunk_elements": CHUNK}
    image.write(path)
    try:
        if promise.damaged:
            assert not any(loss.tensors for loss in ckstore.repair(path / STORE, dry_run=False).losses)
        with ckstore.open(path / STORE, **how) as store:
            promise.check(store)
            assert_whole_and_tidy(store)
            if go_on:
                store.save(state_of("after", 1), run="after", step=1)
                assert_same(store.load("after@1"), state_of("after", 1))
    finally:
        shutil.rmtree(path, ignore_errors=True)
