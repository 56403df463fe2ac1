"""`pytest -m soak`: hours of crashes, kills, faults, damage and fuzzing, gone on with where the last soak ended.

CKSTORE_SOAK_HOURS or CKSTORE_SOAK_SECONDS is the time of all jobs together (an hour); -n 2 takes half as long.
"""

from __future__ import annotations

import shutil
import time

import pytest

from tests.soak import counters
from tests.soak.jobs import JOBS, seconds


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", JOBS)
def test_soak(name, fast_path, monkeypatch):
    monkeypatch.setenv("CKSTORE_THREADS", "1")
    job, end, n_rounds = JOBS[name], time.monotonic() + seconds() * JOBS[name].share, 0
    while not n_rounds or time.monotonic() < end:
        seed, path = counters.claim(name), fast_path / str(n_rounds)
        path.mkdir()
        try:
            counters.add(job.round_(seed, path))
        except Exception as error:
            counters.add({"findings": 1})
            error.add_note(f"soak: {name}, seed {seed}")
            raise
        finally:
            shutil.rmtree(path, ignore_errors=True)
        n_rounds += 1
