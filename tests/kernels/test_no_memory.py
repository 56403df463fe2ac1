"""A refused allocation is a MemoryError and nothing else: no wrong bytes, no crash, and the next call goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("no_memory.py")
TESTS = SCRIPT.parents[1]


def test_every_allocation_around_the_kernels_may_be_refused():
    pytest.importorskip("_testcapi", reason="this Python was built without the hooks that refuse memory")
    path = os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    assert sum(map(int, done.stdout.split()[-2:])) > 0
