from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

import ckstore
from ckstore.cli import main

COMMANDS = [
    "init", "demo", "ls", "show", "stats", "du", "tag", "untag", "annotate", "rm", "keep", "thin", "gc", "verify",
    "repair", "export",
]  # fmt: skip
PROGRAM = [sys.executable, "-m", "ckstore"]


def test_the_commands_are_these() -> None:
    assert list(main.commands) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example_and_its_json_keys(cli, command: str) -> None:
    result = cli(command, "--help")
    assert result.exit_code == 0
    assert f"Example: ckstore {command} " in result.stdout
    assert "JSON: " in result.stdout
    assert "--json" in result.stdout


def test_the_version_is_that_of_the_package(cli) -> None:
    result = cli("--version")
    assert (result.exit_code, result.stdout) == (0, f"ckstore {ckstore.__version__}\n")


@pytest.mark.parametrize("arguments", [["lss"], ["ls"], ["ls", "x", "--no-such"], ["gc", "x", "--grace", "-1"]])
def test_a_wrong_command_line_is_one_line_and_exit_code_2(cli, arguments: list[str]) -> None:
    result = cli(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("ckstore: error: ")
    assert result.stderr.count("\n") == 1


def test_importing_the_command_line_imports_no_framework() -> None:
    code = "import ckstore.cli, sys; print([m for m in ('torch', 'safetensors') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_real_process_prints_json_and_exits_0(path: str) -> None:
    run = subprocess.run([*PROGRAM, "ls", path, "--json"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert len(json.loads(run.stdout)["checkpoints"]) == 5


def test_a_real_process_reports_an_error_on_stderr_without_a_traceback(tmp_path) -> None:
    run = subprocess.run([*PROGRAM, "ls", str(tmp_path / "none")], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (3, "")
    assert run.stderr.startswith("ckstore: error: no ckstore store at ")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--help"], ["ls"]])
def test_a_reader_that_leaves_early_is_no_reason_to_complain(path: str, arguments: list[str]) -> None:
    command = [*PROGRAM, *arguments, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaint = process.stderr.read()
    assert (process.returncode, complaint) == (141, b"")


def test_a_locale_without_some_letter_is_no_reason_to_fail(path: str) -> None:
    command = [*PROGRAM, "annotate", path, "latest", "--meta", "note=3 → 4"]
    run = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "latin-1"})
    assert run.returncode == 0, run.stderr
    assert b"3 \\u2192 4" in run.stdout


def test_ctrl_c_ends_a_command_with_130_and_no_traceback(path: str) -> None:
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a suite in the background has it ignored
        "from ckstore import api\n"
        "from ckstore.cli import main\n"
        f"api.Store.verify = lambda *_, **__: os.kill(os.getpid(), signal.{signal.SIGINT.name}) or signal.pause()\n"
        f"sys.argv = ['ckstore', 'verify', {path!r}]\n"
        "main()\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (130, "")
    assert run.stderr.split() == ["ckstore:", "interrupted"]
