"""Records: what a decoder takes, what it refuses, and how the format may grow."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from ckstore.errors import FormatError
from ckstore.format.envelope import decode_record
from ckstore.format.records import (
    EMPTY,
    Closure,
    Condemned,
    Entry,
    Manifest,
    ManifestPage,
    ObjectRef,
    PackUse,
    PageRef,
    Root,
    Shard,
    TensorRow,
)

NAME = "7-0123456789abcdef-3"
REF = ObjectRef(NAME, bytes(32), 100)
PAGE = PageRef("", 56, 10, 20, bytes(32), 1)
ENTRY = Entry(
    id=bytes(32), run="main", step=-3, time_ns=-1, logical_bytes=1, stored_bytes=1, manifest=REF, closure=REF,
    parent=b"", metrics={"loss": 1.5}, tags=["good"], meta=Raw(b"\x81\xa1a\x92\x01\xc0"), write_id=bytes(16),
    n_tensors=1, extra=EMPTY,
)  # fmt: skip
ROOT = Root(
    number=1, previous=b"", write_id=bytes(16), major=1, chunk_elements=1024, incompatible=[], readonly_compatible=[],
    compatible=["x"], hash_seed=2**63 - 1, floor=0, trimmed_to=0, chain_cost_milli=8000, chain_frames=32, catalog=[],
    inline=[ENTRY], segments=[REF], condemned=[Condemned(6, NAME, 2)], deleting=[], extra=Raw(b"\x81\xa1k\xc4\x01v"),
)  # fmt: skip
CLOSURE = Closure(1, [PackUse(NAME, 5)], [(3, NAME)], [PAGE], EMPTY)
MANIFEST = Manifest("main", 1, 2, bytes(16), 3, 1, [PAGE], EMPTY)
SHARD = Shard([0], [3], 1)
TENSOR = TensorRow(("w", 1, None), "numpy.ndarray", "float32", [3], {}, None, [SHARD])
SAMPLES = [REF, PAGE, ENTRY, ROOT, MANIFEST, CLOSURE, SHARD, TENSOR, ManifestPage([TENSOR], bytes(32), bytes(16))]

LIES: list[tuple[msgspec.Struct, str, Any]] = [
    (REF, "name", "../../etc/passwd"),
    (REF, "name", NAME + "\n"),
    (REF, "name", ""),
    (REF, "digest", bytes(31)),
    (REF, "digest", bytes(33)),
    (REF, "n_bytes", -1),
    (REF, "n_bytes", 2**63),
    (REF, "n_bytes", 1.5),
    (PAGE, "holder", "x"),
    (PAGE, "offset", 2**63),
    (PAGE, "stored_bytes", -1),
    (PAGE, "raw_bytes", -1),
    (PAGE, "digest", b""),
    (PAGE, "n_rows", -1),
    (ENTRY, "id", b""),
    (ENTRY, "write_id", b""),
    (ENTRY, "metrics", {"loss": "low"}),
    (ENTRY, "run", None),
    (ROOT, "number", 0),
    (ROOT, "number", 2**62 + 1),
    (ROOT, "chunk_elements", 0),
    (ROOT, "chunk_elements", 1023),
    (ROOT, "chunk_elements", 2**20 + 1),
    (ROOT, "hash_seed", -1),
    (ROOT, "floor", -1),
    (ROOT, "condemned", [[7, NAME, 2]]),
    (ROOT, "condemned", [[-1, NAME, 2]]),
    (ROOT, "deleting", [[6, "x", 2]]),
    (CLOSURE, "pages", [PAGE, PAGE]),
    (MANIFEST, "pages", [PAGE, PAGE]),
    (CLOSURE, "holders", [[3]]),
    (CLOSURE, "holders", [[3, "x"]]),
    (CLOSURE, "holders", [[3, NAME, 1]]),
    (CLOSURE, "holders", [[[], NAME]]),
    (CLOSURE, "packs", [["x", 1]]),
    (SHARD, "n_chunks", -1),
    (SHARD, "offsets", [-1]),
    (TENSOR, "shape", [-1]),
    (TENSOR, "shape", [2**63]),
    (TENSOR, "attrs", [1]),
]


def encoded(record: msgspec.Struct, **changes: Any) -> bytes:
    """The record as MessagePack, with fields replaced by anything at all."""
    fields = {name: getattr(record, name) for name in record.__struct_fields__} | changes
    tag = [record.__struct_config__.tag] if record.__struct_config__.tag else []
    return msgspec.msgpack.encode([*tag, *fields.values()])


@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: type(record).__name__)
def test_a_record_comes_back_as_it_was(record: msgspec.Struct) -> None:
    assert decode_record(msgspec.msgpack.encode(record), type(record), "x") == record
    assert encoded(record) == msgspec.msgpack.encode(record)


@pytest.mark.parametrize(("record", "field", "value"), LIES, ids=lambda v: repr(v)[:30])
def test_a_value_outside_its_limits_is_refused(record: msgspec.Struct, field: str, value: Any) -> None:
    with pytest.raises(FormatError, match="closure 7: malformed record") as caught:
        decode_record(encoded(record, **{field: value}), type(record), "closure 7")
    assert caught.value.object == "closure 7"


@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: type(record).__name__)
def test_a_field_that_a_later_version_adds_is_ignored(record: msgspec.Struct) -> None:
    longer = msgspec.msgpack.encode([*msgspec.msgpack.decode(encoded(record)), {"new": 1}])
    assert decode_record(longer, type(record), "x") == record


@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: type(record).__name__)
def test_a_record_that_lacks_a_field_is_refused(record: msgspec.Struct) -> None:
    shorter = msgspec.msgpack.encode(msgspec.msgpack.decode(encoded(record))[:-1])
    with pytest.raises(FormatError):
        decode_record(shorter, type(record), "x")


@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: type(record).__name__)
def test_bytes_after_a_record_are_refused(record: msgspec.Struct) -> None:
    with pytest.raises(FormatError):
        decode_record(encoded(record) + b"\xc0", type(record), "x")


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xc1", b"\x91" * 5000, b"\xdd\xff\xff\xff\xff", b"\x81\xa1a\x81\x81\xa1b\x01\x01", b"\x91\xa1\xff"],
    ids=["nothing", "reserved byte", "deep", "long array", "map as key", "bad text"],
)
def test_hostile_messagepack_is_a_format_error(raw: bytes) -> None:
    with pytest.raises(FormatError):
        decode_record(raw, Root, "x")
    with pytest.raises(FormatError):
        decode_record(b"\x98" + raw, Manifest, "x")


@given(st.sampled_from(SAMPLES), st.data())
def test_any_change_of_a_record_is_taken_or_a_format_error(record: msgspec.Struct, data: st.DataObject) -> None:
    raw = bytearray(encoded(record))
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=4)):
        raw[at] = data.draw(st.integers(0, 255))
    with suppress(FormatError):
        decode_record(bytes(raw), type(record), "x")
