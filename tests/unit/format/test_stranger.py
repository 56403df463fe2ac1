"""FORMAT.md is enough: a reader written from that page alone reads what ckstore writes, and finds nothing amiss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import msgspec
import numpy as np
import pytest

import ckstore
from ckstore.engine import catalog
from ckstore.format.frame import CODEC_NAMES
from tests.house.files import ROOT
from tests.unit.format.stranger import Stranger, read_pack_table
from tests.unit.format.stranger_codecs import decode

CASES = sorted(path.parent for path in (ROOT / "tests" / "golden" / "v1" / "codec").glob("*/case.json"))
CHUNK = 1024
STEPS = 4


def test_there_are_golden_frames() -> None:
    assert len(CASES) >= 25


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_stranger_decodes_every_golden_frame(case: Path) -> None:
    about = json.loads((case / "case.json").read_text(encoding="utf-8"))
    raw, bases = (case / "raw.bin").read_bytes(), [(case / f"base{i}.bin") for i in range(about["n_bases"])]
    payload = (case / "payload.bin").read_bytes()
    params = bytes.fromhex(about["params"])
    assert decode(about["codec"], params, payload, [base.read_bytes() for base in bases], len(raw)) == raw


def state_at(step: int) -> dict[str, Any]:
    """All codecs in one state."""
    rng = np.random.default_rng(1)
    weight = (rng.normal(size=3000) * (1 + 2e-4 * step)).astype("f4")
    trained = [np.random.default_rng(70 + i).normal(size=3000).astype("f4") for i in range(step + 1)]
    average = trained[0]
    for later in trained[1:]:
        average = np.float32(0.9) * average + np.float32(0.1) * later
    masks = rng.integers(0, 1 << 30, 3000).astype("i4") ^ (np.random.default_rng(9 + step).integers(0, 4, 3000) << 28)
    return {
        "weight": weight,
        "halves": [weight.astype(ml_dtypes.bfloat16), weight.astype("f2")],
        "model": {"trained": trained[-1]},
        "ema": {"trained": average},
        "wide": {"master": weight.astype("f8") * np.pi, "single": (weight.astype("f8") * np.pi).astype("f4")},
        "masks": masks.astype("i4"),
        "pruned": np.where(rng.random(3000) < 0.8, np.float32(0), weight).astype("f4"),
        "odd": np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38, 65519, 65520] * 200, "f4"),
        "zeros": np.zeros(5000, "c16"),
        "noise": np.random.default_rng(50 + step).integers(0, 256, 5000).astype("u1"),
        "counts": np.arange(4000, dtype="i8") + step,
        "small": np.arange(5, dtype="u2"),
        ("tuple", 1): np.array([b"abc", b"de"], "S7"),
        "step": step,
    }


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("stranger") / "store"
    with pytest.MonkeyPatch.context() as patch, ckstore.open(made, create=True, chunk_elements=CHUNK) as store:
        patch.setattr(catalog, "INLINE_ENTRIES", 2)
        for step in range(STEPS):
            store.save(state_at(step), step=step, metrics={"loss": step / 3}, tags=[f"tag-{step}"])
    return made


def leaves(value: Any, path: tuple[Any, ...] = ()) -> dict[str, bytes]:
    """Bytes of every array, by dotted path."""
    if isinstance(value, np.ndarray):
        return {".".join(map(str, path)): value.tobytes()}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {name: data for key, child in items for name, data in leaves(child, (*path, key)).items()}


def test_all_codecs_are_in_this_store(path: Path) -> None:
    with ckstore.open(path) as store:
        used = {codec for step in range(STEPS) for leaf in store.leaves(f"main@{step}") for codec in leaf.codecs}
    assert used == {*CODEC_NAMES.values(), "inline"}


def test_a_stranger_reads_the_tensors_of_every_checkpoint(path: Path) -> None:
    stranger = Stranger(path)
    assert [entry[2] for entry in stranger.entries] == list(range(STEPS))
    for step, entry in enumerate(stranger.entries):
        found = stranger.tensors(entry)
        expected = leaves(state_at(step))
        assert {name: data for name, (_, _, data) in found.items()} == {
            name.replace("('tuple', 1)", "['tuple', 1]"): data for name, data in expected.items()
        }


def test_a_stranger_reads_the_catalog(path: Path) -> None:
    stranger = Stranger(path)
    with ckstore.open(path) as store:
        for entry, ck in zip(stranger.entries, store.checkpoints(), strict=True):
            assert (entry[0].hex(), entry[1], entry[2]) == (ck.id, ck.run, ck.step)
            assert (entry[4], entry[5], entry[8].hex() or None) == (ck.logical_bytes, ck.stored_bytes, ck.parent)
            assert (entry[9], entry[10], entry[13]) == (ck.metrics, ck.tags, ck.n_tensors)
            assert entry[0] == entry[6][1]
    assert len(stranger.root[13]) >= 1


def test_a_stranger_reads_plain_values(path: Path) -> None:
    stranger = Stranger(path)
    for step, entry in enumerate(stranger.entries):
        values = {row[1][0]: msgspec.msgpack.decode(row[2]) for row, _ in stranger.rows(entry) if row[0] == "value"}
        assert values == {"step": step}


def test_a_stranger_finds_every_chunk_in_packs_and_segments(path: Path) -> None:
    stranger = Stranger(path)
    in_packs = {}
    for pack in (path / "pack").iterdir():
        data = pack.read_bytes()
        for offset, size, n_bytes, _ in read_pack_table(data, stranger.uuid):
            in_packs[data[offset + 16 : offset + 48]] = (pack.name, offset, size, n_bytes)
    in_segments = {}
    for ref in stranger.root[15]:
        packs, level, n_rows, fences, pages, pack_rows, gone, filter_ref = stranger.head(5, ref)
        records = stranger.pages(5, ref[0], pages)
        assert fences == b"".join(ids[:32] for ids, *_ in records)
        for ids, pack_of, offsets, sizes, lengths in records:
            for i in range(len(ids) // 32):
                place = [column[n * i : n * i + n] for column, n in ((offsets, 8), (sizes, 4), (lengths, 4))]
                name = packs[int.from_bytes(pack_of[4 * i : 4 * i + 4], "little")][0]
                where = (name, *(int.from_bytes(part, "little") for part in place))
                in_segments[ids[32 * i : 32 * i + 32]] = where
        assert (level, n_rows) == (0, sum(len(ids) // 32 for ids, *_ in records))
        assert (sum(pack_rows), gone, filter_ref) == (n_rows, [], None)
    assert in_segments == in_packs


def test_the_head_of_a_closure_names_all_that_the_checkpoint_needs(path: Path) -> None:
    stranger = Stranger(path)
    for entry in stranger.entries:
        n_rows, uses, holders, pages, _ = stranger.head(4, entry[7])
        records = stranger.pages(4, entry[7][0], pages)
        used: dict[str, int] = {}
        for packs, _, pack_of, _, sizes, _, _, _ in records:
            for i in range(len(sizes) // 4):
                name = packs[int.from_bytes(pack_of[2 * i : 2 * i + 2], "little")][0]
                used[name] = used.get(name, 0) + int.from_bytes(sizes[4 * i : 4 * i + 4], "little")
        assert dict(uses) == used
        assert n_rows == sum(len(sizes) // 4 for _, _, _, _, sizes, _, _, _ in records)
        held = [(3, ref[0]) for ref in stranger.head(3, entry[6])[6]] + [(4, ref[0]) for ref in pages]
        assert {tuple(item) for item in holders} == {item for item in held if item[1]}
