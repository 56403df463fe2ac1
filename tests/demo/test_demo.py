"""`ckstore demo`: once for real with a tiny model, and the parts that must not let a failure pass."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import ckstore
from ckstore.cli import demo as module
from ckstore.cli import main
from ckstore.cli.demo_plan import Plan
from ckstore.cli.demo_process import ChildFailed, follow
from ckstore.cli.demo_story import Story

QUICK = ["--tiny", "--steps", "40", "--every", "4"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The directory and the output of one demo that ran to its end, in a process of its own."""
    pytest.importorskip("torch")
    directory = tmp_path_factory.mktemp("demo") / "here"
    command = [sys.executable, "-m", "ckstore", "demo", str(directory), *QUICK]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return directory, run.stdout


def test_the_demo_kills_resumes_and_ends_bit_identical(finished: tuple[Path, str]) -> None:
    directory, _ = finished
    report = json.loads((directory / module.MARKER).read_text())
    assert (report["ok"], report["problems"], report["n_losses"]) == (True, [], 40)
    assert 12 <= report["resumed_from"] <= 32
    assert report["n_leaves"] > 300
    assert report["sizes"]["checkpoints"] == 10
    assert report["sizes"]["ckstore"]["bytes"] < report["sizes"]["torch"]["bytes"]


def test_the_demo_prints_the_table_and_how_to_explore(finished: tuple[Path, str]) -> None:
    directory, shown = finished
    for part in (
        "SIGKILL while ",
        "bit-identical",
        "torch.save + zstd -3",
        "gc freed ",
        f"ckstore ls {directory}/store",
    ):
        assert part in shown
    assert "\x1b" not in shown


def test_the_demo_leaves_the_newer_half_of_its_store_and_nothing_else(finished: tuple[Path, str]) -> None:
    directory, _ = finished
    assert {each.name for each in directory.iterdir()} == {module.MARKER, "store"}
    with ckstore.open(directory / "store", readonly=True) as store:
        assert [checkpoint.step for checkpoint in store.checkpoints()] == [24, 28, 32, 36, 40]
        assert store.verify("data").ok


def _demo(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["demo", *map(str, arguments)])


def test_the_demo_keeps_out_of_a_directory_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    result = _demo(tmp_path)
    assert result.exit_code == 2
    assert "not empty and not of an earlier demo" in result.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_new_demo_replaces_an_earlier_one_and_leaves_other_files(tmp_path: Path) -> None:
    plan = Plan(str(tmp_path))
    (tmp_path / module.MARKER).write_text("{}")
    plan.store.mkdir()
    (tmp_path / "best.safetensors").write_text("exported")
    module._prepare(tmp_path, plan)
    assert {each.name for each in tmp_path.iterdir()} == {module.MARKER, "best.safetensors"}


def test_without_torch_the_demo_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    result = _demo(tmp_path / "here")
    assert result.exit_code == 5
    assert "pip install torch" in result.stderr
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("arguments", [["--steps", "11", "--every", "5"], ["--steps", "15", "--every", "5"]])
def test_the_demo_needs_a_whole_number_of_saves_and_four_at_least(tmp_path: Path, arguments: list[str]) -> None:
    assert _demo(tmp_path / "here", *arguments).exit_code == 2


def test_any_problem_makes_the_demo_fail_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Story, "tell", lambda story: story.problems.append("step 5 is not what it was"))
    result = _demo(tmp_path / "here", *QUICK)
    assert result.exit_code == 1
    assert "ckstore: error: demo: step 5 is not what it was" in result.stderr
    assert "Done" not in result.stdout
    assert json.loads((tmp_path / "here" / module.MARKER).read_text())["ok"] is False


def test_a_child_that_fails_fails_the_demo_with_its_own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(story: Story) -> None:
        raise ChildFailed("the disk is full", 5)

    monkeypatch.setattr(Story, "tell", fail)
    result = _demo(tmp_path / "here", *QUICK, "--json")
    assert result.exit_code == 5
    assert json.loads(result.stdout)["problems"] == ["the disk is full"]


def test_the_last_words_of_a_child_that_fails_are_passed_on(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    with pytest.raises(ChildFailed, match=r"'check' process failed: no ckstore store at") as caught:
        follow("check", Plan(str(tmp_path)), lambda event: None)
    assert caught.value.code == 3
