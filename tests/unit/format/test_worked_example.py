"""The bytes printed in FORMAT.md are real: the stranger decodes them, and ckstore writes the same."""

from __future__ import annotations

import re
import struct

import numpy as np
from blake3 import blake3

from ckstore.codec.chunk import decode_into
from ckstore.format import envelope, frame
from ckstore.format.frame import DELTA_INT, ROLE_PREVIOUS, Base
from ckstore.format.names import ROOT
from ckstore.format.records import Root
from tests.house.files import PACKAGE
from tests.unit.format.stranger import read_frame, read_head

TEXT = (PACKAGE / "format" / "FORMAT.md").read_text(encoding="utf-8")
LINE = re.compile(r"^([0-9a-f]{4})  ((?:[0-9a-f]{2} ?){1,16})$")
BASE = np.arange(1, 9, dtype="<f4")
CHUNK = np.nextafter(BASE, np.float32(np.inf))


def example(number: int) -> bytes:
    """The bytes of one hex block."""
    data = b""
    for line in re.findall(r"^```hex\n(.*?)^```$", TEXT, flags=re.M | re.S)[number].splitlines():
        match = LINE.fullmatch(line)
        assert match
        assert int(match[1], 16) == len(data)
        data += bytes.fromhex(match[2])
    return data


def test_a_stranger_reads_the_root_of_the_example() -> None:
    head, digest, uuid = read_head(example(0), ROOT, None)
    assert len(example(0)) == 142
    assert uuid == bytes(range(16))
    assert digest == example(0)[-32:]
    assert head == [
        1, b"", bytes(range(16, 32)), 1, 262144, [], [], [], 0x0123456789ABCDEF, 0, 0, 8000, 32, [], [], [], [], [], {},
    ]  # fmt: skip


def test_ckstore_writes_the_root_of_the_example() -> None:
    head, _, uuid = read_head(example(0), ROOT, None)
    assert envelope.encode(ROOT, uuid, Root(*head), compress=False)[0] == example(0)


def test_a_stranger_decodes_the_frame_of_the_example() -> None:
    base = blake3(BASE.tobytes()).digest(), BASE.tobytes()
    chunk_id, chunk = read_frame(example(1), [base])
    assert len(example(1)) == 107
    assert chunk == CHUNK.tobytes()
    assert chunk_id == blake3(chunk).digest()


def test_ckstore_decodes_and_writes_the_frame_of_the_example() -> None:
    found = frame.parse(memoryview(example(1)), "the example")
    assert (found.codec, found.logical_bytes) == (DELTA_INT, 32)
    assert found.bases == (Base(ROLE_PREVIOUS, blake3(BASE.tobytes()).digest()),)
    out = bytearray(32)
    decode_into(found.codec, found.params, memoryview(found.payload), [memoryview(BASE.tobytes())], memoryview(out))
    assert out == CHUNK.tobytes()
    assert frame.pack_front(found) + bytes(found.payload) == example(1)


def test_the_table_beside_the_root_names_the_bytes_it_means() -> None:
    data = example(0)
    assert data[0x10:0x20] == bytes(range(16))
    assert struct.unpack("<QQQ", data[0x20:0x38]) == (56, 54, 54)
    assert data[0x38:0x3B] == b"\xdc\x00\x13"
    assert data[0x3B:0x3E] == b"\x01\xc4\x00"
    assert data[0x3E:0x50] == b"\xc4\x10" + bytes(range(16, 32))
    assert data[0x50:0x59] == b"\x01\xce\x00\x04\x00\x00\x90\x90\x90"
    assert data[0x59:0x62] == b"\xcf" + 0x0123456789ABCDEF.to_bytes(8, "big")
    assert data[0x62:0x68] == b"\x00\x00\xcd\x1f\x40\x20"
    assert data[0x68:0x6E] == b"\x90" * 5 + b"\x80"
    assert len(data[0x6E:0x8E]) == 32
