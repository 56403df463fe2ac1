"""What every peer does: make one checkpoint durable in its folder, and give any of them back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol

from bench.workloads.common import Checkpoint


class Peer(Protocol):
    """One way to keep checkpoints. Stored bytes are measured from outside: the sizes of all files in `folder`."""

    name: ClassVar[str]
    helper_peak_bytes: int = 0
    """Peak memory of the processes that the peer started; 0 if it works in this one."""

    def __init__(self, folder: Path, scratch: Path, threads: int) -> None:
        self.folder, self.scratch, self.threads = folder, scratch, threads
        folder.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(parents=True, exist_ok=True)

    @classmethod
    def missing(cls) -> str:
        """Why this peer cannot run here; "" if it can."""
        return ""

    def prepare(self, item: Checkpoint, number: int) -> None:
        """What must exist before save() can begin and is not its work. Not timed."""

    def save(self, item: Checkpoint, number: int) -> None:
        """Store `item`, the checkpoint of this number; it is durable on return. Numbers count up from 0."""

    def load(self, number: int) -> Any:
        """The state of checkpoint `number`. The process that calls this may be another than the one that saved."""

    def close(self) -> None:
        """Let go of files."""


def installed(module: str) -> str:
    """missing() of a peer that needs a Python module."""
    from importlib.util import find_spec

    return "" if find_spec(module) else "not installed"
