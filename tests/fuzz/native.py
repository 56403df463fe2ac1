"""Builds and runs the fuzzers of the C kernels, under AddressSanitizer and UndefinedBehaviourSanitizer.

With clang it is libFuzzer that guides them; with gcc it is driver.c, by the edges that gcc's trace-pc reports. cases.c
runs generated data, guided by nothing, and also in a build as setup.py makes it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
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
    "scaled": 6144,
    "word_sums": 8192,
    "turn": 2048,
}
"""The functions of harness.c, and how many bytes an input may have."""
CASE_BYTES = 12_288
"""Generated ones may have at least these: elements of 8 bytes, and bases of theirs, for more than two blocks of 256."""

SANITIZE = "-fsanitize=address,undefined"
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
    """The fuzzer with all targets, made in the directory `out`.

    Raises CannotBuild where no compiler has what it takes; that our own sources do not compile is a failure.
    """
    program, sources = out / "fuzz", _sources()
    if _can(out, "clang", guided := "-fsanitize=fuzzer,address,undefined"):
        _run("clang", *_FLAGS, guided, *sources, "-o", str(program))
        return program
    compiler = _sanitizing(out, ["gcc"])
    _run(compiler, *_FLAGS, "-D_GNU_SOURCE", SANITIZE, "-c", str(HERE / "driver.c"), "-o", str(out / "driver.o"))
    traced = [SANITIZE, "-fsanitize-coverage=trace-pc"]
    _run(compiler, *_FLAGS, *traced, *sources, str(out / "driver.o"), "-o", str(program))
    return program


def build_cases(out: Path, sanitized: bool) -> Path:
    """The program that runs generated cases (cases.c): with the sanitizers, or optimised as setup.py does it.

    Raises as build() does.
    """
    flags = [SANITIZE] if sanitized else ["-O3"]
    compiler = _sanitizing(out, ["gcc", "clang"], *flags)
    program = out / ("cases-sanitized" if sanitized else "cases")
    _run(compiler, *_FLAGS, *flags, "-D_GNU_SOURCE", *_sources(), str(HERE / "cases.c"), "-o", str(program))
    return program


def _sources() -> list[str]:
    return ["-I", str(CSRC), *sorted(map(str, [*CSRC.glob("*.c"), HERE / "harness.c"]))]


def _sanitizing(out: Path, compilers: list[str], *flags: str) -> str:
    """The first of the compilers that can build with these flags, the sanitizers if there are none."""
    if sys.platform != "linux":
        raise CannotBuild("the fuzzers are built on Linux only")
    for compiler in compilers:
        if _can(out, compiler, *(flags or [SANITIZE])):
            return compiler
    raise CannotBuild("neither clang with libFuzzer nor gcc with the sanitizers is installed")


def build_or_skip(out: Path, make: Callable[[Path], Path] = build) -> Path:
    """As `make`; a machine without the tools skips the test, and says which."""
    try:
        return make(out)
    except CannotBuild as error:
        pytest.skip(str(error))


def fuzz(program: Path, target: str, runs: int, seed: int, found: Path) -> str:
    """Run so many inputs, beginning with the corpus. Those that reach something new are written to `found`.

    Returns what the program said at its end; AssertionError, with the input's file, for whatever it found.
    """
    return _driven(program, target, [f"-runs={runs}", f"-max_len={TARGETS[target]}", str(found)], seed, found)


def run_cases(program: Path, target: str, cases: int, seed: int, found: Path) -> str:
    """Run so many generated cases of a target. Returns and raises as fuzz() does."""
    longest = max(TARGETS[target], CASE_BYTES)
    return _driven(program, target, [f"-cases={cases}", f"-max_len={longest}"], seed, found)


def _driven(program: Path, target: str, how: list[str], seed: int, found: Path) -> str:
    found.mkdir(parents=True, exist_ok=True)
    corpus = CORPUS / target
    options = [f"-seed={seed}", f"-artifact_prefix={found}/", *how]
    env = {**os.environ, "CK_TARGET": target, "ASAN_OPTIONS": "detect_leaks=1:malloc_limit_mb=256"}
    command = [str(program), *options, *([str(corpus)] if corpus.is_dir() else [])]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-4000:]}"
    return done.stderr.strip().splitlines()[-1]
