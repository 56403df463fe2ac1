"""Builds and runs the fuzzers of the C decoders, under AddressSanitizer and UndefinedBehaviourSanitizer.

With clang it is libFuzzer that guides them; with gcc it is driver.c, by the edges that gcc's trace-pc reports.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "csrc"
CORPUS = HERE / "corpus"

TARGETS = {
    "huffman_decode": 2048,
    "huffman_round_trip": 40_000,
    "huffman_lengths": 300,
    "delta_merge": 4096,
    "delta_round_trip": 2048,
    "sparse_merge": 4096,
    "sparse_round_trip": 2048,
    "merge": 2048,
    "round": 1024,
    "scan": 2048,
}
"""The functions of harness.c, and how many bytes an input may have."""

_FLAGS = ["-std=c11", "-g", "-O1", "-fno-omit-frame-pointer", "-ffp-contract=off", "-fno-sanitize-recover=undefined"]


class CannotBuild(Exception):
    """No compiler here has the sanitizers; the message says what was missing."""


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise CannotBuild(f"{' '.join(command)}:\n{done.stderr[-2000:]}")


def build(out: Path) -> Path:
    """The program with all targets, made in the directory `out`. Raises CannotBuild."""
    if sys.platform != "linux":
        raise CannotBuild("the fuzzers are built on Linux only")
    program, sources = out / "fuzz", sorted(map(str, [*CSRC.glob("*.c"), HERE / "harness.c"]))
    include = ["-I", str(CSRC)]
    if shutil.which("clang"):
        try:
            _run("clang", *_FLAGS, "-fsanitize=fuzzer,address,undefined", *include, *sources, "-o", str(program))
            return program
        except CannotBuild:  # a clang without its runtime libraries
            pass
    if shutil.which("gcc") is None:
        raise CannotBuild("neither clang nor gcc is installed")
    sanitize = "-fsanitize=address,undefined"
    _run("gcc", *_FLAGS, "-D_GNU_SOURCE", sanitize, "-c", str(HERE / "driver.c"), "-o", str(out / "driver.o"))
    traced = [sanitize, "-fsanitize-coverage=trace-pc"]
    _run("gcc", *_FLAGS, *traced, *include, *sources, str(out / "driver.o"), "-o", str(program))
    return program


def fuzz(program: Path, target: str, runs: int, seed: int, found: Path) -> str:
    """Run so many inputs, beginning with the corpus. Those that reach something new are written to `found`.

    Returns what the program said at its end; AssertionError, with the input's file, for whatever it found.
    """
    found.mkdir(parents=True, exist_ok=True)
    corpus = CORPUS / target
    options = [f"-runs={runs}", f"-seed={seed}", f"-max_len={TARGETS[target]}", f"-artifact_prefix={found}/"]
    env = {**os.environ, "CK_TARGET": target, "ASAN_OPTIONS": "detect_leaks=1:malloc_limit_mb=256"}
    command = [str(program), *options, str(found), *([str(corpus)] if corpus.is_dir() else [])]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-4000:]}"
    return done.stderr.strip().splitlines()[-1]
