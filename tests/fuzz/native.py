"""Builds and runs the fuzzers of the C decoders, under AddressSanitizer and UndefinedBehaviourSanitizer.

With clang it is libFuzzer that guides them; with gcc it is driver.c, by the edges that gcc's trace-pc reports.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "csrc"
CORPUS = HERE / "corpus"

TARGETS = {
    "huffman_decode": 2048,
    "huffman_round_trip": 40_000,
    "huffman_lengths": 300,
    "palette_decode": 2048,
    "palette_round_trip": 2048,
    "gap_merge": 2048,
    "gap_round_trip": 2048,
    "delta_merge": 4096,
    "delta_round_trip": 2048,
    "recentred_merge": 4096,
    "recentred_round_trip": 2048,
    "predict": 4096,
    "sparse_merge": 4096,
    "sparse_round_trip": 2048,
    "merge": 4608,
    "round": 1024,
    "scan": 2048,
    "other_widths": 8,
}
"""The functions of harness.c, and how many bytes an input may have."""

_FLAGS = ["-std=c11", "-g", "-O1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=undefined"]
_FLAGS += ["-ffp-contract=off", "-fno-math-errno"]


class CannotBuild(Exception):
    """No compiler here has the sanitizers; the message says what was missing."""


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert not done.returncode, f"{' '.join(command)}:\n{done.stderr[-2000:]}"


def _can(out: Path, compiler: str, *flags: str) -> bool:
    """Whether a program that does nothing can be made so: else the compiler or its runtime libraries are missing."""
    source = out / "nothing.c"
    source.write_text("int LLVMFuzzerTestOneInput() { return 0; }\n")
    more = [] if any("fuzzer" in flag for flag in flags) else ["-DLLVMFuzzerTestOneInput=main"]
    command = [compiler, *flags, *more, str(source), "-o", str(out / "nothing")]
    return bool(shutil.which(compiler)) and not subprocess.run(command, capture_output=True).returncode


def build(out: Path) -> Path:
    """The program with all targets, made in the directory `out`.

    Raises CannotBuild where no compiler has what it takes; that our own sources do not compile is a failure.
    """
    if sys.platform != "linux":
        raise CannotBuild("the fuzzers are built on Linux only")
    program, sources = out / "fuzz", sorted(map(str, [*CSRC.glob("*.c"), HERE / "harness.c"]))
    include = ["-I", str(CSRC)]
    if _can(out, "clang", guided := "-fsanitize=fuzzer,address,undefined"):
        _run("clang", *_FLAGS, guided, *include, *sources, "-o", str(program))
        return program
    sanitize = "-fsanitize=address,undefined"
    if not _can(out, "gcc", sanitize):
        raise CannotBuild("neither clang with libFuzzer nor gcc with the sanitizers is installed")
    _run("gcc", *_FLAGS, "-D_GNU_SOURCE", sanitize, "-c", str(HERE / "driver.c"), "-o", str(out / "driver.o"))
    traced = [sanitize, "-fsanitize-coverage=trace-pc"]
    _run("gcc", *_FLAGS, *traced, *include, *sources, str(out / "driver.o"), "-o", str(program))
    return program


def build_or_skip(out: Path) -> Path:
    """As build(); a machine without the tools skips the test, and says which."""
    try:
        return build(out)
    except CannotBuild as error:
        pytest.skip(str(error))


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
