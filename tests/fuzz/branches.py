"""Which branches of the C decoders the corpus takes, counted by gcov in a build without optimisation."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.fuzz import native

DECODERS = re.compile(
    r"ck_(?P<stem>huffman_get_lengths|huffman_code|huffman_split|huffman_decode|decode_block|merge_node|ones|join"
    r"|join_rest|bits_at|shuffled|palette_decode|put_escapes|gap_merge|delta_merge|lengths|fetch|fetch_block|most_low"
    r"|rebuild|sparse_merge|spread|merge|merge_block|recentred_merge|recentred_lengths|recentred_rebuild|predict"
    r"|predictable|predict_blocks|linear|adam|second|mask|widen|widen_as|narrow_single|narrow_as|scaled|scaled_part"
    r"|steep|turn)"
    r"(_(?P<variant>scalar|avx2|avx512))?(?P<width>_\d+)?"
)
"""The functions that stored bytes go through."""

# Inlined, a function would have counts for each of its callers; the compiler's own headers spell it otherwise.
_FLAGS = ["-std=c11", "-O0", "-w", "-ffp-contract=off", "-fno-math-errno", "--coverage", "-Dalways_inline=noinline"]


class Branch(NamedTuple):
    """A line of a function in which not every way was taken."""

    function: str
    text: str
    """Of the line, without the space around it."""


def replayed(out: Path) -> Path:
    """The folder of a build that has run the corpora of all targets."""
    for tool in ("gcc", "gcov"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    sources = [*native.CSRC.glob("*.c"), native.HERE / "harness.c", native.HERE / "replay.c"]
    command = ["gcc", *_FLAGS, "-I", str(native.CSRC), *map(str, sources), "-o", "replay"]
    subprocess.run(command, cwd=out, check=True, capture_output=True)
    for target in native.TARGETS:
        inputs = sorted(map(str, (native.CORPUS / target).glob("*.bin")))
        env = {**os.environ, "CK_TARGET": target}
        subprocess.run([str(out / "replay"), *inputs], cwd=out, check=True, env=env)
    return out


def not_taken(out: Path, variants: list[str]) -> list[Branch]:
    """Every line of a decoder, in the variants that run here, that was not reached or did not go every way."""
    found: set[Branch] = set()
    for line in _lines(out):
        match = DECODERS.fullmatch(line["function_name"])
        runs = match is not None and (match["variant"] or variants[0]) in variants
        if runs and not (line["count"] and all(branch["count"] for branch in line["branches"])):
            found.add(Branch(line["function_name"], line["text"]))
    return sorted(found)


def functions(out: Path) -> set[str]:
    """The decoders that were built, by the middle of their names."""
    matches = (DECODERS.fullmatch(line["function_name"]) for line in _lines(out))
    return {match["stem"] for match in matches if match}


def _lines(out: Path) -> Iterator[dict[str, Any]]:
    """gcov's lines of all C sources, each for each function that it is part of."""
    counts = sorted(path.name for path in out.glob("*.gcda"))
    command = ["gcov", "--branch-probabilities", "--json-format", *counts]
    subprocess.run(command, cwd=out, check=True, capture_output=True)
    for path in sorted(out.glob("*.gcov.json.gz")):
        for file in json.loads(gzip.decompress(path.read_bytes()))["files"]:
            where = Path(file["file"])
            if native.CSRC in where.parents:
                text = where.read_text(encoding="utf-8").splitlines()
                for line in file["lines"]:
                    if "function_name" in line:
                        yield {**line, "text": text[line["line_number"] - 1].strip()}
