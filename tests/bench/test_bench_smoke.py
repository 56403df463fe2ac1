"""The benchmarks run to their end on small models, and what they print can be trusted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import states
from bench.peers import PEERS
from bench.workloads import ON_REQUEST, WORKLOADS
from bench.workloads.common import Checkpoint

ROOT = Path(__file__).resolve().parents[2]


def _bench(*arguments: str) -> str:
    command = [sys.executable, "-m", "bench", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _only_json(folder: Path) -> Any:
    (path,) = folder.glob("*.json")
    return json.loads(path.read_text())


def test_the_storage_benchmark_gives_back_every_checkpoint_and_names_its_machine(tmp_path: Path) -> None:
    peers = ("1 MiB dedup", "XOR+planes+zstd-1", "ckstore")
    chosen = [word for peer in peers for word in ("--peer", peer)]
    printed = _bench(
        "storage", "--small", "--workload", "low_bytes", "--workload", "lora", *chosen, "--out", str(tmp_path)
    )
    found = _only_json(tmp_path)
    shares = {(cell["workload"], cell["peer"]): cell["share"] for cell in found["cells"]}
    assert all(cell["exact"] for cell in found["cells"])
    assert len(shares) == 6
    assert shares["low_bytes", "ckstore"] < 0.6 < shares["low_bytes", "1 MiB dedup"], "deltas see what blocks cannot"
    assert shares["lora", "ckstore"] < shares["lora", "1 MiB dedup"]
    floors = {workload: floor["share"] for workload, floor in found["floors"].items()}
    assert all(0.25 < floors[workload] < share for (workload, _), share in shares.items())
    assert {"ckstore", "torch", "zipnn", "restic"} <= set(found["about"]["versions"])
    assert "mostly noise" in printed
    assert "above the floor" in printed


def test_the_codec_benchmark_is_byte_exact_and_counts_all_bytes(tmp_path: Path) -> None:
    chosen = ("--codec", "planes+zstd-1", "--codec", "ckstore", "--kind", "bf16", "--kind", "bool")
    _bench("codec", "--small", "--mib", "1", "--rounds", "1", *chosen, "--out", str(tmp_path))
    rows = _only_json(tmp_path)["rows"]
    assert {row["codec"] for row in rows} == {"planes+zstd-1", "ckstore"}
    assert all(row["exact"] and 0 < row["share"] < 1 and row["decode"] > 0 for row in rows)


def test_the_codec_benchmark_keeps_whole_adam_states_in_a_store(tmp_path: Path) -> None:
    chosen = ("--codec", "ZipNN", "--codec", "ckstore", "--kind", "(w, m, v)")
    if PEERS["ZipNN"].missing():
        pytest.skip("ZipNN is not installed")
    _bench("codec", "--small", "--rounds", "1", *chosen, "--out", str(tmp_path))
    rows = {(row["kind"][-1], row["codec"]): row for row in _only_json(tmp_path)["rows"]}
    assert {codec for _, codec in rows} == {"ZipNN", "ckstore", "ckstore, in a store"}
    assert all(row["exact"] for row in rows.values())
    assert all(rows["1", name]["share"] < rows["0", name]["share"] < 1 for name in ("ZipNN", "ckstore, in a store"))
    assert abs(rows["1", "ZipNN"]["n_bytes"] / rows["1", "ckstore, in a store"]["n_bytes"] - 1) < 0.001


def test_the_large_state_is_measured_only_where_it_is_named(tmp_path: Path) -> None:
    assert ON_REQUEST.keys() & WORKLOADS.keys() == set()
    for name in ON_REQUEST:
        _bench("storage", "--small", "--workload", name, "--peer", "ckstore", "--out", str(tmp_path))
        assert [cell["workload"] for cell in _only_json(tmp_path)["cells"]] == [name]


def test_a_state_that_differs_in_one_bit_is_not_called_exact() -> None:
    state = {"model": {"w": torch.zeros(3), "b": torch.ones(2, dtype=torch.bfloat16)}, "lr": 0.0}
    assert states.first_difference(state, {**state, "lr": -0.0}) == "state.lr"
    other = {**state, "model": {**state["model"], "w": -torch.zeros(3)}}
    assert states.first_difference(state, other) == "state.model.w"


@pytest.mark.parametrize("name", [name for name in PEERS if name not in ("restic", "borg", "ckstore")])
def test_every_peer_gives_back_awkward_tensors_in_any_order(name: str, tmp_path: Path) -> None:
    if PEERS[name].missing():
        pytest.skip(f"{name}: {PEERS[name].missing()}")
    states_saved = [_awkward(number) for number in range(3)]
    peer = PEERS[name](tmp_path / "store", tmp_path / "scratch", 1)
    for number, state in enumerate(states_saved):
        peer.save(Checkpoint("main", number, state), number)
    reader = PEERS[name](tmp_path / "store", tmp_path / "scratch", 1)
    for number in (2, 0, 1):
        assert states.first_difference(reader.load(number), states_saved[number]) is None


def _awkward(number: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(number)
    grown = torch.randn(300 + number, 7, generator=generator)  # its shape changes: no base fits
    return {
        "empty": torch.zeros(0, 4),
        "scalar": torch.tensor(number, dtype=torch.int64),
        "mask": grown > 0,
        "nested": [{"w": grown, "half": grown.bfloat16()}, (grown.to(torch.int8),)],
        "nan": torch.tensor([float("nan"), -0.0]),
        "step": number,
    }
