"""File systems of a test's own: small ones that fill up, and ones whose power can be cut. For root on Linux only."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_SHUTDOWN = 0x8004587D
"""_IOR('X', 125, u32): EXT4_IOC_SHUTDOWN, and XFS_IOC_GOINGDOWN under the same number."""
NO_LOG_FLUSH = 2
"""The power is gone: nothing that is not on the disk yet gets there, not even the journal."""

IMAGE_MIB = {"ext4": 64, "xfs": 320}
"""mkfs.xfs refuses to make smaller ones."""
_OPTIONS = {"ext4": ["-q", "-F", "-m", "0"], "xfs": ["-q", "-f"]}


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


def _need_root() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount")


@contextlib.contextmanager
def small_tmpfs(path: Path, n_bytes: int) -> Iterator[Path]:
    """An empty tmpfs of n_bytes at `path`; skips the test where none can be mounted."""
    _need_root()
    path.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(path))
    except OSError as error:
        pytest.skip(f"no tmpfs can be mounted: {error}")
    try:
        yield path
    finally:
        _run("umount", "-l", str(path))


@dataclass
class Disk:
    """A file system in a file. It is mounted, loses its power, and is mounted again."""

    image: Path
    path: Path

    def mount(self) -> None:
        """Mount it; a journal is replayed, as after a crash."""
        _run("mount", "-o", "loop", str(self.image), str(self.path))

    def unmount(self) -> None:
        """REQUIRES: nobody has a file of it open."""
        _run("umount", str(self.path))

    def cut_power(self) -> None:
        """From now on nothing reaches the disk, and every call is refused."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)


@contextlib.contextmanager
def mounted_disk(kind: str, directory: Path) -> Iterator[Disk]:
    """An empty file system of this kind in `directory`, mounted; skips the test where that cannot be done."""
    _need_root()
    make = shutil.which(f"mkfs.{kind}")
    if make is None:
        pytest.skip(f"mkfs.{kind} is not installed")
    disk = Disk(directory / f"{kind}.image", directory / kind)
    disk.path.mkdir()
    with open(disk.image, "wb") as file:
        file.truncate(IMAGE_MIB[kind] << 20)
    _run(make, *_OPTIONS[kind], str(disk.image))
    try:
        disk.mount()
    except OSError as error:
        pytest.skip(f"no {kind} can be mounted through a loop device: {error}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk.path)], capture_output=True)
