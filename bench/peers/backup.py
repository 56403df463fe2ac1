"""Backup tools: restic and borg. They back up a folder with one raw file a tensor, which suits their chunkers best."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, ClassVar

from bench import states
from bench.peers.base import Peer
from bench.workloads.common import Checkpoint

ENVIRONMENT = {"RESTIC_PASSWORD": "bench", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes", "LC_ALL": "C.UTF-8"}


class BackupTool(Peer):
    """Writing the folder that is backed up is not timed and not counted. Durability is the tool's own."""

    program: ClassVar[str]
    helper_peak_bytes = 1

    @classmethod
    def missing(cls) -> str:
        return "" if shutil.which(cls.program) else "not installed"

    def prepare(self, item: Checkpoint, number: int) -> None:
        source = self.scratch / "source"
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir()
        (source / "rest").write_bytes(states.skeleton(item.state))
        for position, entry in enumerate(states.named_tensors(item.state)):
            (source / f"{entry.name}.bin").write_bytes(entry.raw.tobytes())
            (source / f"{position:05}.shape").write_text(f"{entry.name} {entry.dtype} {list(entry.tensor.shape)}")

    def call(self, *arguments: str, folder: Path | None = None) -> None:
        """Run the tool and note its peak memory, which the system shows only while it runs."""
        environment = {**os.environ, **ENVIRONMENT, f"{self.program.upper()}_CACHE_DIR": str(self.scratch / "cache")}
        command = [self.program, *arguments]
        with subprocess.Popen(
            command, cwd=folder or self.scratch, env=environment, stdout=subprocess.DEVNULL
        ) as process:
            while process.poll() is None:
                self.helper_peak_bytes = max(self.helper_peak_bytes, _peak_bytes(process.pid))
                time.sleep(0.005)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)

    def restored(self, source: Path) -> Any:
        """The state from a folder that the tool gave back."""
        tensors = []
        for path in sorted(source.glob("*.shape")):
            name, dtype, shape = path.read_text().split(" ", 2)
            raw = (source / f"{name}.bin").read_bytes()
            tensors.append(states.tensor_from(raw, dtype, [int(n) for n in shape.strip("[]").split(",") if n.strip()]))
        return states.assemble((source / "rest").read_bytes(), tensors)

    def target(self) -> Path:
        """An empty folder to restore into."""
        folder = self.scratch / "restored"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder


class Restic(BackupTool):
    """restic, with its own compression on (repository version 2)."""

    name = program = "restic"

    def save(self, item: Checkpoint, number: int) -> None:
        if not any(self.folder.iterdir()):
            self.call("-q", "-r", str(self.folder), "init", "--repository-version", "2")
        self.call("-q", "-r", str(self.folder), "backup", "source", "--tag", f"n{number}")

    def load(self, number: int) -> Any:
        target = self.target()
        self.call("-q", "-r", str(self.folder), "restore", "latest", "--tag", f"n{number}", "--target", str(target))
        return self.restored(target / "source")


class Borg(BackupTool):
    """borg, zstd level 3, no encryption."""

    name = program = "borg"

    def save(self, item: Checkpoint, number: int) -> None:
        if not any(self.folder.iterdir()):
            self.call("init", "-e", "none", str(self.folder))
        self.call("create", "-C", "zstd,3", f"{self.folder}::n{number}", "source")

    def load(self, number: int) -> Any:
        target = self.target()
        self.call("extract", f"{self.folder}::n{number}", folder=target)
        return self.restored(target / "source")


def _peak_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
