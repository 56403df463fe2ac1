"""A store from somebody who means harm: all hashes right, the content not. No crash, no loop, no foreign error."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import pytest
from blake3 import blake3

from ckstore.errors import CkError, CorruptError
from ckstore.format import closure, frame
from ckstore.format.closure import Row
from ckstore.format.frame import DELTA_INT, MAX_BASES, MAX_DEPTH, RAW, ROLE_PREVIOUS, Base, Frame
from ckstore.format.names import CLOSURE, MANIFEST
from ckstore.format.records import Condemned, ManifestPage, NodeRow, ObjectRef, Shard, TensorRow, ValueRow
from tests.corrupt.damage import CHUNK, N_STEPS, Small, assert_state
from tests.corrupt.forge import NAME, Forger, mutated, try_everything

MUTANTS = 10
"""For each seed."""
SEEDS = [*range(15), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(100, 400))]


@pytest.fixture
def forger(small: Small) -> Iterator[Forger]:
    yield Forger(small)
    small.fs.served.clear()


def test_a_forgery_that_changes_nothing_is_the_store_itself(forger: Forger) -> None:
    manifest, closed = forger.put_manifest([forger.manifest_page()]), forger.put_closure([forger.closure_page()])
    with forger.store(manifest=manifest, closure=closed) as store:
        assert_state(store.load(), N_STEPS - 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_mutants_of_a_manifest_page(forger: Forger, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(MUTANTS):
        manifest = forger.put_manifest([mutated(forger.manifest_page(), rng)])
        with forger.store(manifest=manifest) as store:
            try_everything(store)


@pytest.mark.parametrize("seed", SEEDS)
def test_mutants_of_a_closure_page(forger: Forger, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(MUTANTS):
        closed = forger.put_closure([mutated(forger.closure_page(), rng)])
        with forger.store(closure=closed) as store:
            try_everything(store)


@pytest.mark.parametrize("seed", SEEDS)
def test_mutants_of_heads_and_roots(forger: Forger, seed: int) -> None:
    rng = random.Random(seed)
    heads = {MANIFEST: msgspec.msgpack.encode(forger.manifest), CLOSURE: msgspec.msgpack.encode(forger.closure)}
    for _ in range(MUTANTS // 2):
        for kind, head in heads.items():
            ref = forger.put_head(kind, mutated(head, rng))
            with forger.store(**{"manifest" if kind == MANIFEST else "closure": ref}) as store:
                try_everything(store)
        raw = mutated(msgspec.msgpack.encode(forger.small.root), rng)
        with suppress(CkError), forger.store(root=raw) as store:  # some are not even opened
            try_everything(store)


@pytest.mark.parametrize("seed", SEEDS)
def test_mutants_of_frames(forger: Forger, seed: int) -> None:
    """Parameters and payloads that lie, below checks that are right: the chunk id tells in the end."""
    rng = random.Random(seed)
    for _ in range(MUTANTS):
        rows, frames = forger.rows, []
        for row in rows:
            data = forger.small.fs.read(f"pack/{row.pack.name}", row.offset, row.frame_bytes)
            frames.append(mutated_frame(data, rng) if rng.random() < 0.3 else whole_frame(data))
        ref, places = forger.put_pack(frames)
        moved = [row_at(row, ref, place) for row, place in zip(rows, places, strict=True)]
        (page,) = closure.to_pages(moved)
        closed = forger.put_closure([msgspec.msgpack.encode(page)], packs=closure.pack_uses(moved))
        with forger.store(closure=closed) as store:
            try:
                found = store.load()
            except CkError:
                continue
            assert_state(found, N_STEPS - 1)


def row_at(row: Row, ref: ObjectRef, place: tuple[int, int]) -> Row:
    return Row(row.chunk_id, ref, *place, row.logical_bytes, row.bases)


def whole_frame(data: bytes) -> Frame:
    return frame.parse(memoryview(data), "the frame")


def mutated_frame(data: bytes, rng: random.Random) -> Frame:
    found = whole_frame(data)
    params, payload = found.params, bytes(found.payload)
    if params and rng.random() < 0.4:
        params = mutated(params, rng)
    elif payload:
        payload = mutated(payload, rng)
    codec = rng.randrange(8) if rng.random() < 0.2 else found.codec
    return Frame(codec, found.chunk_id, found.logical_bytes, found.bases, params, payload)


def test_a_chain_that_branches_at_every_link_ends(forger: Forger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each frame has the one before it as base four times over: 4^60 ways down, but only 60 frames."""
    data = np.arange(CHUNK, dtype="f4").tobytes()
    ids = [blake3(data + bytes([i])).digest() for i in range(MAX_DEPTH - 1)] + [forger.table[1][1].chunk_id(0)]
    frames = [Frame(RAW, ids[0], len(data), (), b"", data)]
    for i in range(1, MAX_DEPTH):
        bases = tuple(Base(ROLE_PREVIOUS, ids[i - 1]) for _ in range(MAX_BASES))
        frames.append(Frame(DELTA_INT, ids[i], len(data), bases, b"\x00\x04\x01", b""))
    ref, places = forger.put_pack(frames)
    first = len(forger.rows)
    chain = [(first + i - 1,) * MAX_BASES if i else () for i in range(MAX_DEPTH)]
    rows = [*forger.rows, *(Row(ids[i], ref, *places[i], len(data), chain[i]) for i in range(MAX_DEPTH))]
    with monkeypatch.context() as patched:
        patched.setattr(closure, "MAX_WORK", 1 << 200)  # a writer of ours would refuse to make it
        (page,) = closure.to_pages(rows)
    closed = forger.put_closure([msgspec.msgpack.encode(page)], packs=closure.pack_uses(rows))
    with forger.store(closure=closed) as store:
        with pytest.raises(CorruptError):
            store.load()
        assert not store.verify(level="data").ok
        try_everything(store)


ROWS: dict[str, list[Any]] = {
    "no rows": [],
    "a child without its container": [ValueRow(("a",), b"\x01")],
    "a leaf with children": [ValueRow((), b"\x01"), ValueRow(("a",), b"\x01")],
    "the container last": [ValueRow(("a",), b"\x01"), NodeRow((), "dict", {})],
    "two roots": [NodeRow((), "dict", {}), NodeRow((), "list", {"n": 0})],
    "a path twice": [NodeRow((), "dict", {}), ValueRow(("a",), b"\x01"), ValueRow(("a",), b"\x02")],
    "an unknown container": [NodeRow((), "set", {})],
    "an unknown composite": [NodeRow((), "torch.nested", {})],
    "a list of 2^60 items": [NodeRow((), "list", {"n": 1 << 60})],
    "a list of minus one": [NodeRow((), "list", {"n": -1})],
    "a list without a length": [NodeRow((), "tuple", {})],
    "a class that runs things": [NodeRow((), "namedtuple", {"class": "os:system", "fields": [], "n": 0})],
    "a class that is none": [NodeRow((), "namedtuple", {"class": 5, "fields": None, "n": []})],
    "a factory that runs things": [NodeRow((), "defaultdict", {"factory": "os:system"})],
    "a factory that is none": [NodeRow((), "defaultdict", {"factory": [1]})],
    "an enum that runs things": [ValueRow((), msgspec.msgpack.encode([8, "os:system", "x"]))],
    "a plain value of extensions": [ValueRow((), b"\xd4\x05\x00")],
    "a plain value of maps": [ValueRow((), b"\x80")],
    "a plain value too deep": [ValueRow((), b"\x92\x00" * 5000 + b"\xc0")],
    "an unhashable key": [ValueRow((), msgspec.msgpack.encode([12, [0], 1]))],
    "a deep path": [NodeRow((), "dict", {}), ValueRow(tuple(range(5000)), b"\x01")],
    "an unhashable path": [NodeRow((), "dict", {}), ValueRow(({"a": 1},), b"\x01")],
    "metadata that is none": [NodeRow((), "OrderedDict", {"metadata": 5})],
}


def tensor(inline: bytes = bytes(12), **changes: Any) -> TensorRow:
    return msgspec.structs.replace(TensorRow((), "numpy.ndarray", "float32", [3], {}, inline, []), **changes)


TENSORS = {
    "an unknown kind": tensor(kind="jax.Array"),
    "a pickle": tensor(b"cos\nsystem\n(S'true'\ntR.", kind="python.pickle", dtype="uint8", shape=[23]),
    "a dtype of another size": tensor(attrs={"dtype": "int64"}),
    "a dtype that runs things": tensor(attrs={"dtype": "O"}),
    "a dtype of structures": tensor(attrs={"dtype": ["struct", 4, False, [["a", -1, "int8"]]]}),
    "a dtype nested for ever": tensor(attrs={"dtype": ["array", [1], ["array", [1]]]}),
    "an order of no dimensions": tensor(attrs={"order": [5]}),
    "an order of text": tensor(attrs={"order": ["a"]}),
    "strides that reach outside": tensor(kind="torch.Tensor", attrs={"strides": [1 << 40]}),
    "negative strides": tensor(kind="torch.Tensor", attrs={"strides": [-1]}),
    "a torch dtype that is a function": tensor(kind="torch.Tensor", attrs={"dtype": "load"}),
    "a shared buffer too small": tensor(
        attrs={"shared": {"group": 0, "members": 1, "span_bytes": 4, "offset": 0, "strides": [4]}}
    ),
    "a shared buffer too large": tensor(
        attrs={"shared": {"group": 0, "members": 1, "span_bytes": 1 << 50, "offset": 0, "strides": [4]}}
    ),
    "a view outside its buffer": tensor(
        attrs={"shared": {"group": 0, "members": 1, "span_bytes": 64, "offset": -64, "strides": [4]}}
    ),
    "a tie that is none": tensor(attrs={"same": [1]}),
    "a device that is none": tensor(kind="torch.Tensor", attrs={"device": "nowhere"}),
    "lengths that no machine has": tensor(b"", shape=[1 << 61, 0]),
    "65 dimensions": tensor(b"\0\0\0\0", shape=[1] * 65),
    "chunks that are not there": tensor(shape=[2 * CHUNK], inline=None, shards=[Shard([0], [2 * CHUNK], 2)]),
}


@pytest.mark.parametrize("rows", [*ROWS.values(), *([row] for row in TENSORS.values())], ids=[*ROWS, *TENSORS])
def test_rows_that_make_no_state_are_refused(forger: Forger, rows: list[Any]) -> None:
    ids = bytes(32 * sum(shard.n_chunks for row in rows for shard in getattr(row, "shards", [])))
    page = msgspec.msgpack.encode(ManifestPage(rows, ids, ids[: len(ids) // 2]))
    with forger.store(manifest=forger.put_manifest([page])) as store:
        try_everything(store)


@pytest.mark.parametrize("how", ["pages of others", "pack of one byte", "pack far away", "catalog of itself"])
def test_references_that_lead_nowhere_are_refused(forger: Forger, how: str) -> None:
    entry: dict[str, Any] = {}
    if how == "pages of others":
        refs = [msgspec.structs.replace(ref, holder=NAME + "8") for ref in forger.closure.pages]
        head = msgspec.structs.replace(forger.closure, pages=refs)
        entry["closure"] = forger.put_head(CLOSURE, msgspec.msgpack.encode(head))
    elif how == "catalog of itself":
        entry["manifest"] = entry["closure"] = ObjectRef(f"{NAME}9", bytes(32), 1)
    else:
        n_bytes, offset, size = (1, 0, 1) if how == "pack of one byte" else (1 << 62, 1 << 61, 100)
        rows = [
            Row(row.chunk_id, ObjectRef(row.pack.name, row.pack.digest, n_bytes), offset, size, row.logical_bytes)
            for row in forger.rows
        ]
        (page,) = closure.to_pages(rows)
        entry["closure"] = forger.put_closure([msgspec.msgpack.encode(page)])
    with forger.store(**entry) as store:
        with pytest.raises(CkError):
            store.load()
        assert not store.verify(level="data").ok
        try_everything(store)


def test_a_root_cannot_make_gc_remove_anything_but_objects(forger: Forger) -> None:
    names = ["../../etc/passwd", "..", "", "x/../../y", NAME + "1\0"]
    for name in names:
        root = msgspec.structs.replace(forger.small.root, deleting=[Condemned(6, name, 1)])
        with pytest.raises(CorruptError, match=f"root {forger.small.root.number}"), forger.store(root=root):
            pass


def test_a_head_that_lists_one_page_again_and_again_is_refused(forger: Forger) -> None:
    head = msgspec.msgpack.decode(msgspec.msgpack.encode(forger.closure))
    head[3] = head[3] * 300_000
    closed = forger.put_head(CLOSURE, msgspec.msgpack.encode(head))
    with forger.store(closure=closed) as store, pytest.raises(CorruptError, match="listed twice"):
        store.load()
