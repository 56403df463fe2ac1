"""What a result depends on: the machine, the versions, the limits under which a process ran."""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import ckstore

PACKAGES = (
    "ckstore",
    "torch",
    "numpy",
    "zstandard",
    "safetensors",
    "zipnn",
    "openzl",
    "blosc2",
    "bitshuffle",
    "pcodec",
)
TOOLS = {"restic": ["restic", "version"], "borg": ["borg", "--version"]}


def describe(threads: int) -> dict[str, Any]:
    """Machine, versions, thread limit and date, as written into every JSON file."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {"ckstore": ckstore.__version__}
        | {name: version_of(name) for name in PACKAGES}
        | {name: tool_version(command) for name, command in TOOLS.items()},
    }


def version_of(package: str) -> str:
    """Version of an installed package, or "not installed"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def tool_version(command: list[str]) -> str:
    """The version word of a command-line tool, or "not installed"."""
    if shutil.which(command[0]) is None:
        return "not installed"
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[1]


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def limit_threads(threads: int) -> None:
    """Hold this process and its children to `threads` cores and as many threads, so that peers run alike."""
    for name in ("CKSTORE_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLOSC_NTHREADS", "GOMAXPROCS"):
        os.environ[name] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import torch

    torch.set_num_threads(threads)
