"""What README.md prints can be pasted: two lines to start, and an example that runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ckstore
from house.files import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, flags=re.M | re.S)
SETUP = re.compile(
    r"python3 -m venv \.venv"
    r" && \.venv/bin/pip install -c constraints\.txt torch==(?P<torch>[\d.]+)"
    r" && \.venv/bin/pip install -c constraints\.txt -e '\.\[(?P<extra>\w+)\]'"
    r" && \.venv/bin/(?P<command>.+)"
)


def test_the_first_block_is_one_line_for_the_demo_and_one_for_the_tests() -> None:
    language, body = BLOCKS[0]
    lines = [SETUP.fullmatch(line) for line in body.splitlines()]
    assert language == "bash"
    assert [match and match["extra"] for match in lines] == ["torch", "test"]
    assert [match and match["command"].split()[0] for match in lines] == ["ckstore", "pytest"]


def test_the_two_lines_install_the_torch_that_constraints_pin() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for line in BLOCKS[0][1].splitlines():
        match = SETUP.fullmatch(line)
        assert match
        assert f"torch=={match['torch']}" in pins


def test_every_constraint_is_one_exact_version() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = next(body for language, body in BLOCKS if language == "python")
    assert len(example.splitlines()) <= 14
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    first = np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32)
    second = first * np.float32(1.0001)
    for name in ("before", "state"):
        assert np.array_equal(names[name]["model"]["weight"], first), name
    assert np.array_equal(names["weights"]["model"]["weight"], second)
    with ckstore.open("runs/store") as store:
        chains = [store.leaves(f"main@{step}")[0].max_chain for step in (100, 200)]
    assert chains == [1, 2], "the second save is no delta"


def test_every_folder_of_the_map_exists() -> None:
    section = TEXT.split("## Map of folders")[1].split("\n## ")[0]
    paths = re.findall(r"^\| `([^`]+)`", section, flags=re.M)
    assert len(paths) >= 10
    assert [path for path in paths if not (ROOT / path).exists()] == []
