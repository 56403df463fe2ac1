"""Each measurement runs in a new process: nothing cached, nothing shared, its own memory high-water mark."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from bench import machine


def run(threads: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)` in a new process that is held to `threads` cores. Errors are raised here."""
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        context.set_forkserver_preload(["torch", "bench.storage"])  # a new process in 50 ms, not 2 s
    with ProcessPoolExecutor(1, mp_context=context, initializer=machine.limit_threads, initargs=(threads,)) as pool:
        return pool.submit(function, *arguments).result()
