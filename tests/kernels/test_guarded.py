"""Kernels touch nothing outside their inputs and outputs, whatever the inputs hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_no_kernel_touches_the_page_next_to_its_memory() -> None:
    script = Path(__file__).with_name("guarded.py")
    path = os.pathsep.join([str(script.parents[1]), str(script.parents[2]), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path}
    result = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.strip()) == (0, "whole"), result.stderr
