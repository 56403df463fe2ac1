"""`python -m tests.fuzz.cases`: every kernel on generated data, each variant against the scalar one, a million cases.

A case is one input of one target (harness.c): every variant that runs here takes it, and says and gives what the scalar
one does. All are run twice: in a build with AddressSanitizer and UndefinedBehaviourSanitizer, and in one optimised as
setup.py does it, where loops are vectors.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from tests.fuzz import native

MILLION = 1_000_000


def shares(cases: int) -> dict[str, int]:
    """How many of the cases each target gets."""
    n = len(native.TARGETS)
    return {target: (cases + i) // n for i, target in enumerate(native.TARGETS)}


def run_all(program: Path, cases: int, seed: int, out: Path) -> str:
    """Run all targets, printing what each said. AssertionError, with the input's file, for a difference or a crash.

    Returns the names of the variants that were compared.
    """
    said = ""
    for target, share in shares(cases).items():
        began = time.monotonic()
        said = native.run_cases(program, target, share, seed, out / target)
        print(f"{target:22}{time.monotonic() - began:8.1f} s  {said}", flush=True)
    return said.split(": ")[1]


def main() -> None:
    """Both builds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=MILLION, help="of each build, shared by all targets")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    out = Path(tempfile.mkdtemp(prefix="ckstore-cases-"))
    for sanitized, build in ((True, "sanitized"), (False, "optimised")):
        program = native.build_cases(out, sanitized)
        began = time.monotonic()
        variants = run_all(program, wanted.cases, wanted.seed, out / build)
        seconds = time.monotonic() - began
        what = f"{wanted.cases:,} cases of {len(native.TARGETS)} targets, {variants}"
        print(f"{build}: {what}: no finding, {seconds:.0f} s\n", flush=True)
    shutil.rmtree(out)  # what was found would lie there


if __name__ == "__main__":
    main()
