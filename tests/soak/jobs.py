"""What a soak does over and over, each time with another seed."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from errno import EDQUOT, EINVAL, EIO, EMFILE, ENOSPC, EROFS, ESTALE
from functools import cache
from pathlib import Path

from ckstore.errors import CkError
from tests.corrupt.damage import N_STEPS, Small, assert_state, build
from tests.crash.images import check_scenario
from tests.crash.kills import kill_often
from tests.crash.scenarios import SCENARIOS
from tests.faults.power import cut_often
from tests.faults.sweep import VERBS, made, sweep
from tests.faults.test_small_disk import fill_often
from tests.fuzz import corpus, guided, native
from tests.fuzz.targets import TARGETS
from tests.support.door import quickly
from tests.support.faults import Fault
from tests.support.fire import under_fire
from tests.support.mounts import mounted_disk

N_DAMAGES, N_PARSED, N_DECODED = 500, 10_000, 1_000_000


def crash_images(seed: int, path: Path) -> Counter[str]:
    """All images of one scenario."""
    name = sorted(SCENARIOS)[seed % len(SCENARIOS)]
    return check_scenario(SCENARIOS[name], path, f"{name} {seed}").counts()


def kills(seed: int, path: Path) -> Counter[str]:
    """One store, twenty kills."""
    return kill_often(str(path / "store"), 20, seed)


def fire(seed: int, path: Path) -> Counter[str]:
    """Many processes on one store."""
    return under_fire(str(path / "store"), 400, seed)


def refused_calls(seed: int, path: Path) -> Counter[str]:
    """One verb, one error, every call."""
    rng = random.Random(seed)
    code = rng.choice((EIO, ENOSPC, EDQUOT, EMFILE, EROFS, ESTALE, EINVAL))
    fault = Fault(code, 0, rng.random() < 0.5)
    if rng.random() < 0.2:
        fault = Fault(rng.choice((0, ENOSPC, EDQUOT)), 0, short=True)
    elif rng.random() < 0.2:
        fault = Fault(EIO, 0, after=True)
    return Counter({"refused calls": sweep(made(path / "first"), path / "store", rng.choice(sorted(VERBS)), fault)})


def power_cuts(seed: int, path: Path) -> Counter[str]:
    """One disk, twenty power cuts."""
    with mounted_disk("xfs" if seed % 2 and shutil.which("mkfs.xfs") else "ext4", path) as disk:
        return cut_often(disk, 20, seed)


def full_disks(seed: int, path: Path) -> Counter[str]:
    """One disk, filled ten times."""
    return fill_often(path / "small", 10, seed)


def damaged_files(seed: int, path: Path) -> Counter[str]:
    """Any damage to any file: what loads is right."""
    build(path / "store")
    small, rng = Small(path / "store"), random.Random(seed)
    targets = small.targets()
    for _ in range(N_DAMAGES):
        target = rng.choice(targets)
        other = rng.choice([one for one in targets if one.path.split("/")[0] == target.path.split("/")[0]])
        data = damaged(target.data, other.data, rng)
        if data is None and target.path.startswith("root/"):
            continue  # a name that is listed and not there is no damage of a disk
        with quickly(), small.fs.damaged(target.path, data), suppress(CkError), small.opened() as store:
            step = rng.randrange(N_STEPS)
            assert_state(store.load(f"main@{step}"), step)
    return Counter({"damaged files": N_DAMAGES})


def damaged(data: bytes, other: bytes, rng: random.Random) -> bytes | None:
    """`data` as a bad disk, a bad copy or a mix-up leaves it; None: it is gone."""
    at, n = rng.randrange(len(data)), rng.choice((1, 8, 512, 4096))
    match rng.randrange(8):
        case 0:
            return data[:at]
        case 1:
            return data + rng.randbytes(n)
        case 2:
            return data[: at // n * n] + bytes(min(n, len(data) - at // n * n)) + data[at // n * n + n :]
        case 3:
            return data[:at] + rng.randbytes(n) + data[at + n :]
        case 4:
            return data[:at] + data[at + n :]
        case 5:
            return None if rng.random() < 0.2 else other
    flipped = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def fuzzed_parsers(seed: int, path: Path) -> Counter[str]:
    """One parser."""
    build(path / "store")
    name = sorted(TARGETS)[seed % len(TARGETS)]
    target = TARGETS[name](Small(path / "store"))
    with quickly():
        found = guided.fuzz(target.run, [*target.seeds, *corpus.read(name)], N_PARSED, seed, target.how)
    return Counter({"fuzz inputs": found.n_inputs})


@cache
def _fuzzer() -> Path:
    return native.build_or_skip(Path(tempfile.mkdtemp(prefix="ckstore-fuzzer-")))


def fuzzed_decoders(seed: int, path: Path) -> Counter[str]:
    """One decoder in C."""
    name = sorted(native.TARGETS)[seed % len(native.TARGETS)]
    native.fuzz(_fuzzer(), name, N_DECODED, seed, path / "found")
    return Counter({"fuzz inputs": N_DECODED})


@dataclass(frozen=True)
class Job:
    """One round of something, and its share of the time."""

    round_: Callable[[int, Path], Counter[str]]
    share: float


JOBS = {
    "crash images": Job(crash_images, 0.25),
    "kills": Job(kills, 0.1),
    "fire": Job(fire, 0.2),
    "refused calls": Job(refused_calls, 0.1),
    "power cuts": Job(power_cuts, 0.05),
    "full disks": Job(full_disks, 0.05),
    "damaged files": Job(damaged_files, 0.05),
    "fuzzed parsers": Job(fuzzed_parsers, 0.1),
    "fuzzed decoders": Job(fuzzed_decoders, 0.1),
}


def seconds() -> float:
    """How long all jobs together may take, one after the other."""
    hours = float(os.environ.get("CKSTORE_SOAK_HOURS", "1"))
    return float(os.environ.get("CKSTORE_SOAK_SECONDS", hours * 3600))
