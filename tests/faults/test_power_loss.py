"""Power lost on real file systems, by the ioctl that shuts one down: what was acknowledged is there after it."""

from __future__ import annotations

import os
import random
import struct

import pytest

from tests.faults.power import cut_often
from tests.support.mounts import mounted_disk

SEED = int(os.environ.get("CKSTORE_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
CUTS = int(os.environ.get("CKSTORE_POWER_CUTS", "12"))

pytestmark = pytest.mark.parametrize("kind", ["ext4", "xfs"])


def test_what_was_acknowledged_survives_a_loss_of_power(kind, fast_path):
    print(f"seed {SEED}")
    with mounted_disk(kind, fast_path) as disk:
        assert cut_often(disk, CUTS, SEED)["power cuts"] == CUTS


def test_this_loss_of_power_loses_what_was_not_synced(kind, fast_path):
    """Else the test above would show nothing."""
    with mounted_disk(kind, fast_path) as disk:
        (disk.path / "kept").write_bytes(struct.pack("<Q", 1))
        with open(disk.path / "kept", "rb+") as file:
            os.fsync(file.fileno())
        fd = os.open(disk.path, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        (disk.path / "lost").write_bytes(struct.pack("<Q", 2))
        disk.cut_power()
        disk.unmount()
        disk.mount()
        assert (disk.path / "kept").read_bytes() == struct.pack("<Q", 1)
        assert not (disk.path / "lost").exists()
