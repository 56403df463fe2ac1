"""Frames: self-describing, every byte checked, no length believed."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from ckstore.errors import CorruptError, FormatError, IntegrityError
from ckstore.format import frame
from ckstore.format.frame import MAX_BASES, MAX_CHUNK_BYTES, Base, Frame

WHAT = "pack 7-0123456789abcdef-1, frame at 56"
IDS = st.binary(min_size=32, max_size=32)
FRAMES = st.builds(
    Frame,
    st.integers(0, 255),
    IDS,
    st.integers(0, MAX_CHUNK_BYTES),
    st.lists(st.builds(Base, st.integers(0, 255), IDS), max_size=MAX_BASES).map(tuple),
    st.binary(max_size=300),
    st.binary(max_size=300),
)
SAMPLE = Frame(3, bytes(range(32)), 32, (Base(1, bytes(32)), Base(2, bytes(range(32)))), b"\x00\x04\x01", b"payload")


def stored(item: Frame) -> bytes:
    return frame.pack_front(item) + bytes(item.payload)


def parse(data: bytes) -> Frame:
    return frame.parse(memoryview(data), WHAT)


def signed(data: bytes, **fields: int) -> bytes:
    """`data` with header fields replaced and both checks made right again, wherever they now say the payload is."""
    names = ("magic", "codec", "n_bases", "n_params", "logical", "n_payload", "chunk_id", "payload_check", "check")
    values = dict(zip(names, struct.unpack("<4sBBHII32sQI", data[:60]), strict=True)) | fields
    start = 60 + 33 * values["n_bases"] + values["n_params"]
    values["payload_check"] = xxhash.xxh3_64_intdigest(data[start:])
    front = struct.pack("<4sBBHII32sQI", *values.values())[:56]
    return front + struct.pack("<I", frame._check(front, data[60:start])) + data[60:]


@given(FRAMES)
def test_a_frame_comes_back_as_it_was(item: Frame) -> None:
    data = stored(item)
    found = parse(data)
    assert (found.codec, found.chunk_id, found.logical_bytes) == (item.codec, item.chunk_id, item.logical_bytes)
    assert (found.bases, found.params, bytes(found.payload)) == (item.bases, item.params, item.payload)
    assert found.frame_bytes == item.frame_bytes == len(data)


def test_a_payload_is_a_view_and_no_copy() -> None:
    data = bytearray(stored(SAMPLE))
    payload = frame.parse(memoryview(data), WHAT).payload
    data[-1] ^= 1
    assert bytes(payload) == bytes(data[-7:])


def test_every_truncation_is_found() -> None:
    data = stored(SAMPLE)
    for n in range(len(data)):
        with pytest.raises(FormatError, match=WHAT):
            parse(data[:n])


def test_bytes_behind_a_frame_are_found() -> None:
    with pytest.raises(FormatError, match="do not fit"):
        parse(stored(SAMPLE) + b"\0")


def test_every_flipped_bit_is_found() -> None:
    data = stored(SAMPLE)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptError, match=WHAT) as caught:
            parse(bytes(damaged))
        assert caught.value.object == WHAT


@pytest.mark.parametrize(
    "fields",
    [
        {"n_bases": MAX_BASES + 1},
        {"n_bases": 255},
        {"n_params": 65535},
        {"n_params": 9},
        {"n_payload": 0},
        {"n_payload": 6},
        {"n_payload": 8},
        {"n_payload": 2**32 - 1},
        {"logical": MAX_CHUNK_BYTES + 1},
        {"logical": 2**32 - 1},
    ],
)
def test_no_lie_about_lengths_is_believed(fields: dict[str, int]) -> None:
    with pytest.raises(FormatError, match="lengths that do not fit"):
        parse(signed(stored(SAMPLE), **fields))


def test_five_bases_are_refused_even_where_all_lengths_fit() -> None:
    item = Frame(3, bytes(32), 32, tuple(Base(1, bytes(32)) for _ in range(MAX_BASES + 1)), b"", b"payload")
    with pytest.raises(FormatError, match="lengths that do not fit"):
        parse(stored(item))


def test_a_payload_of_another_frame_is_found() -> None:
    data = stored(SAMPLE)
    with pytest.raises(IntegrityError, match="payload check"):
        parse(data[:-7] + b"PAYLOAD")


def test_a_frame_of_a_later_magic_is_no_frame() -> None:
    with pytest.raises(FormatError, match="no frame here"):
        parse(b"CKF2" + stored(SAMPLE)[4:])


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_a_frame_or_a_clean_error(data: bytes, with_magic: bool) -> None:
    with suppress(CorruptError):
        parse((frame.MAGIC if with_magic else b"") + data)
