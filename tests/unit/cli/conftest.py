"""A small store to look at, and a way to run one command line in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from click.testing import CliRunner, Result

import ckstore
from ckstore.cli import main

Run = Callable[..., Result]


@pytest.fixture
def cli() -> Run:
    """Runs `ckstore ARGUMENTS`; the result has exit_code, stdout and stderr."""

    def run(*arguments: object, answer: str | None = None) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments], input=answer)

    return run


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four checkpoints of run `main` (one of them tagged), and one of `other/run` that shares nothing with them."""
    path = tmp_path_factory.mktemp("template") / "store"
    random = np.random.default_rng(7)
    weight = random.normal(size=(40, 100)).astype("f4")
    with ckstore.open(path, create=True, chunk_elements=1024) as store:
        for step in (10, 20, 30, 40):
            weight = weight + random.normal(scale=1e-3, size=weight.shape).astype("f4")
            state = {
                "model": {"weight": weight, "half": weight.astype(ml_dtypes.bfloat16)},
                "mask": weight[0] > 0,
                "step": step,
                "note": "a value",
            }
            tags = ["good"] if step == 20 else []
            store.save(state, step=step, metrics={"loss": 10 / step}, tags=tags, meta={"seed": 7})
        alone = {"noise": random.normal(size=5000), "columns": np.asfortranarray(random.normal(size=(3, 4)))}
        store.save(alone, run="other/run", step=1, parent=None)
    return path


@pytest.fixture
def path(template: Path, tmp_path: Path) -> str:
    """A private copy of the template store."""
    copy = tmp_path / "store"
    shutil.copytree(template, copy)
    return str(copy)
