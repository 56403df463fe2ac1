"""What the processes of the demo agree on: sizes, paths and the steps at which something is kept."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

RUN = "main"
THREADS = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """One demo. steps: length of the training; every: steps between checkpoints."""

    directory: str
    steps: int = 120
    every: int = 5
    width: int = 176
    layers: int = 3
    batch: int = 8
    context: int = 96
    seed: int = 20

    @classmethod
    def loads(cls, line: str) -> Plan:
        """The plan that `dumps` wrote."""
        return cls(**json.loads(line))

    def dumps(self) -> str:
        """This plan as one line, for a child's command line."""
        return json.dumps(asdict(self))

    @property
    def store(self) -> Path:
        """The store that the demo leaves behind."""
        return Path(self.directory) / "store"

    @property
    def copies(self) -> Path:
        """Where the unbroken run keeps its torch.save files until they have been compared."""
        return Path(self.directory) / "copies"

    def copy(self, step: int) -> Path:
        """The torch.save file of one step of the unbroken run."""
        return self.copies / f"{step}.pt"

    @property
    def saves(self) -> list[int]:
        """The steps that are saved."""
        return list(range(self.every, self.steps + 1, self.every))

    @property
    def compared(self) -> set[int]:
        """The saved steps whose whole state is compared with a torch.save copy: first, middle, last."""
        return {self.saves[0], self.saves[len(self.saves) // 2], self.saves[-1]}
