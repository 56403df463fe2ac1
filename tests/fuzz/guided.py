"""A fuzzer for Python: inputs that go from a line of ckstore to another for the first time are changed further.

Atheris needs a build of its own for each Python; the interpreter's own tracing is slower and always there.
"""

from __future__ import annotations

import random
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import ckstore
from ckstore.errors import CkError
from ckstore.format.frame import MAX_CHUNK_BYTES
from tests.fuzz.mutate import mutated

PACKAGE = str(Path(ckstore.__file__).parent)
MOST_BYTES = 2 * MAX_CHUNK_BYTES + (4 << 20)
"""Most memory that one input may cost its reader: a chunk and a base of the largest size, and what goes with them."""


@dataclass
class Arcs:
    """Which line followed which, in the code of ckstore."""

    seen: set[tuple[CodeType, int, int]] = field(default_factory=set)

    def during(self, work: Callable[[], object]) -> bool:
        """Do it; whether it did anything new."""
        known = len(self.seen)
        before = sys.gettrace()
        sys.settrace(self._call)
        try:
            work()
        finally:
            sys.settrace(before)
        return len(self.seen) > known

    def _call(self, frame: FrameType, event: str, arg: Any) -> Any:
        code, last, seen = frame.f_code, 0, self.seen
        if not code.co_filename.startswith(PACKAGE):
            return None

        def line(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal last
            if event == "line":
                seen.add((code, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line


@dataclass
class Found:
    """What a run of the fuzzer has seen."""

    n_inputs: int = 0
    n_refused: int = 0
    """Inputs that ended in a CkError; the others were read."""
    n_arcs: int = 0
    new: list[bytes] = field(default_factory=list)
    """Inputs that did what none before them did, seeds and corpus apart."""
    peak_bytes: int = 0


@dataclass(frozen=True)
class How:
    """What inputs are like, and how many of them are watched."""

    tree: bool = False
    """They are MessagePack."""
    max_len: int = 8192
    every: int = 1
    """Only of every so manieth input lines and memory are watched: that takes ten times as long."""


def _once(run: Callable[[bytes], object], data: bytes, found: Found) -> None:
    found.n_inputs += 1
    try:
        run(data)
    except CkError:
        found.n_refused += 1
    except BaseException as error:
        error.add_note(f"the input: {data!r}" if len(data) < 2000 else f"an input of {len(data)} bytes: {data.hex()}")
        raise


def _watched(run: Callable[[bytes], object], data: bytes, found: Found, arcs: Arcs) -> bool:
    """Whether this input did anything new."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    is_new = arcs.during(lambda: _once(run, data, found))
    peak = tracemalloc.get_traced_memory()[1] - before
    found.peak_bytes = max(found.peak_bytes, peak)
    assert peak <= MOST_BYTES, f"{len(data)} bytes cost {peak} bytes of memory: {data.hex()}"
    return is_new


def fuzz(run: Callable[[bytes], object], seeds: Sequence[bytes], n: int, seed: int, how: How) -> Found:
    """Call run() on every seed and on n changed inputs. It must return or raise a CkError, in bounded memory.

    Raises whatever else it raises, with the input as a note.
    """
    rng, arcs, found, corpus = random.Random(seed), Arcs(), Found(), list(seeds)
    tracemalloc.start()
    try:
        for data in seeds:
            _watched(run, data, found, arcs)
        for i in range(n):
            # half of the inputs come of those that were found last, which the seeds outnumber
            base = rng.choice(corpus if rng.random() < 0.5 else corpus[-20:])
            data = mutated(base, corpus, rng, how.tree)[: how.max_len]
            if i % how.every:
                tracemalloc.stop()
                _once(run, data, found)
                continue
            tracemalloc.start()
            if _watched(run, data, found, arcs):
                found.new.append(data)
                corpus.append(data)
    finally:
        tracemalloc.stop()
    found.n_arcs = len(arcs.seen)
    return found
