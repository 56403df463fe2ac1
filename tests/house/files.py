"""The files of the project, as the house tests see them: everything but what tools leave behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ckstore"
CSRC = ROOT / "csrc"

_LEFT_BEHIND = {"build", "dist", "__pycache__", ".git", ".venv", ".cache", "shared", "ckstore-demo", "runs"}
_TEXT = {
    ".py",
    ".pyx",
    ".pyi",
    ".pxd",
    ".pxi",
    ".c",
    ".h",
    ".md",
    ".toml",
    ".txt",
    ".in",
    ".cfg",
    ".yml",
    ".yaml",
    ".sh",
    "",
}


def project_files(*suffixes: str, below: Path = ROOT) -> Iterator[Path]:
    """Files under `below` with one of the suffixes, in order; all text files if none is given."""
    for folder, folders, names in os.walk(below):
        folders[:] = sorted(f for f in folders if _is_ours(f))
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix in (suffixes or _TEXT) and not _is_generated(path):
                yield path


def _is_ours(folder: str) -> bool:
    left_behind = folder in _LEFT_BEHIND or folder.endswith((".egg-info", "_cache"))
    return not left_behind and (folder == ".ci" or not folder.startswith("."))


def _is_generated(path: Path) -> bool:
    stored = {"golden", "corpus"} & set(path.parts) and not path.suffix
    made = path.suffix == ".c" and path.with_suffix(".pyx").exists()
    return bool(stored) or made or path.name.startswith(".coverage")


def relative(path: Path) -> str:
    """`path` as it is written in messages."""
    return path.relative_to(ROOT).as_posix()
