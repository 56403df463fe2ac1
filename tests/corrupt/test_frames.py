"""10,000 flipped bits in the frames of packs: never a wrong byte, always the right name, no other checkpoint harmed."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from blake3 import blake3

from ckstore.api import Store
from ckstore.engine.decode import Decoder
from ckstore.engine.parent import load_closure
from ckstore.errors import CkError, CorruptError
from ckstore.format.closure import Row
from ckstore.format.envelope import HEADER_BYTES
from ckstore.format.names import PACK, object_path
from ckstore.format.pack import FOOTER_BYTES
from ckstore.store.repository import Repository
from tests.corrupt.damage import SECTOR_BYTES, Small, Target, assert_names, assert_state, flipped

N_FLIPS = 10_000
N_LOADS = 60


@pytest.fixture(scope="module")
def rows(small: Small) -> dict[tuple[str, int], tuple[list[Row], int]]:
    """By pack and offset of a frame: a closure that needs it, and its row there."""
    repo = Repository(small.fs)
    found = {}
    for entry in small.entries:
        table, _ = load_closure(repo, entry)
        found.update({(row.pack.name, row.offset): (table, i) for i, row in enumerate(table)})
    return found


def frames_end(target: Target) -> int:
    return len(target.data) - FOOTER_BYTES - int.from_bytes(target.data[-FOOTER_BYTES : 8 - FOOTER_BYTES], "little")


def places(small: Small, n: int, seed: int) -> Iterator[tuple[Target, int]]:
    """Random bits in the frames of all packs."""
    rng = random.Random(seed)
    packs = small.packs()
    weights = [frames_end(target) for target in packs]
    for target in rng.choices(packs, weights, k=n):
        yield target, rng.randrange(8 * HEADER_BYTES, 8 * frames_end(target))


def row_at(rows: dict[tuple[str, int], tuple[list[Row], int]], target: Target, byte: int) -> tuple[list[Row], int]:
    name = target.path.partition("/")[2]
    start = max(offset for pack, offset in rows if pack == name and offset <= byte)
    return rows[name, start]


def test_all_frames_together_fill_their_packs(small: Small, rows: dict[tuple[str, int], tuple[list[Row], int]]) -> None:
    for target in small.packs():
        mine = sorted(table[i].frame_bytes for (pack, _), (table, i) in rows.items() if pack in target.path)
        assert sum(mine) == frames_end(target) - HEADER_BYTES


def test_every_flip_is_found_in_the_frame_it_hit(
    small: Small, rows: dict[tuple[str, int], tuple[list[Row], int]]
) -> None:
    repo = Repository(small.fs)
    for target, bit in places(small, N_FLIPS, seed=1):
        table, i = row_at(rows, target, bit // 8)
        with small.fs.damaged(target.path, flipped(target.data, bit)), pytest.raises(CorruptError) as caught:
            Decoder(repo, table).chunk(i)
        assert_names(caught.value, f"{target.what}, frame at {table[i].offset}")


def test_what_does_not_need_a_damaged_frame_loads(
    small: Small, rows: dict[tuple[str, int], tuple[list[Row], int]]
) -> None:
    repo = Repository(small.fs)
    needs = [{(row.pack.name, row.offset) for row in load_closure(repo, entry)[0]} for entry in small.entries]
    lost = kept = 0
    for target, bit in places(small, N_LOADS, seed=2):
        table, i = row_at(rows, target, bit // 8)
        hit = (table[i].pack.name, table[i].offset)
        with small.fs.damaged(target.path, flipped(target.data, bit)), small.opened() as store:
            for entry, needed in zip(small.entries, needs, strict=True):
                if hit not in needed:
                    assert_state(store.load(f"main@{entry.step}"), entry.step)
                    kept += 1
                else:
                    with pytest.raises(CorruptError) as caught:
                        store.load(f"main@{entry.step}")
                    assert_names(caught.value, target.what)
                    lost += 1
    assert lost > N_LOADS
    assert kept > N_LOADS // 2


def test_without_verify_the_checks_of_the_stored_bytes_still_hold(small: Small) -> None:
    for target, bit in places(small, 10, seed=3):
        with small.fs.damaged(target.path, flipped(target.data, bit)), small.opened() as store:
            found = [load(store, entry.step, target.what, verify=False) for entry in small.entries]
        assert not all(found)


@pytest.mark.parametrize("how", ["cut", "zeroed sector", "zeroed", "empty", "missing", "another pack", "frames moved"])
def test_a_pack_damaged_at_large_is_named_or_not_needed(small: Small, how: str) -> None:
    packs = small.packs()
    for n, target in enumerate(packs):
        data = target.data
        start = len(data) // 2 // SECTOR_BYTES * SECTOR_BYTES
        damage = {
            "cut": data[: len(data) // 2],
            "zeroed sector": data[:start] + bytes(SECTOR_BYTES) + data[start + SECTOR_BYTES :],
            "zeroed": bytes(len(data)),
            "empty": b"",
            "missing": None,
            "another pack": packs[n - 1].data,
            "frames moved": data[:HEADER_BYTES] + b"\0" + data[HEADER_BYTES:-1],
        }[how]
        with small.fs.damaged(target.path, damage), small.opened() as store:
            found = [load(store, entry.step, target.what) for entry in small.entries]
        assert not all(found)


def load(store: Store, step: int, what: str, verify: bool = True) -> bool:
    """Whether the checkpoint loads, and is right; else the error names `what`."""
    try:
        found = store.load(f"main@{step}", verify=verify)
    except CkError as error:
        assert_names(error, what)
        return False
    assert_state(found, step)
    return True


def test_a_frame_with_good_checks_and_other_bytes_is_found_by_its_chunk_id(small: Small) -> None:
    """What the checks of stored bytes cannot see: two frames of one pack that have changed places."""
    repo = Repository(small.fs)
    table, _ = load_closure(repo, small.entries[-1])
    for i, row in enumerate(table):
        path = object_path(PACK, row.pack.name)
        data = small.fs.read(path)
        for other in table:
            if other is not row and other.pack == row.pack and other.frame_bytes == row.frame_bytes:
                stored = data[other.offset : other.offset + other.frame_bytes]
                swapped = data[: row.offset] + stored + data[row.offset + row.frame_bytes :]
                with small.fs.damaged(path, swapped), pytest.raises(CorruptError, match="another chunk"):
                    Decoder(repo, table).chunk(i)
    assert blake3(Decoder(repo, table).chunk(0)).digest() == table[0].chunk_id
