"""Packs: the table at the end says exactly which frames there are, and its digest covers all that frames do not."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from ckstore.errors import CorruptError, FormatError, IntegrityError
from ckstore.format import columns, envelope, pack
from ckstore.format.frame import MAX_CHUNK_BYTES, MAX_FRAME_BYTES, Frame
from ckstore.format.names import PACK
from ckstore.format.pack import PackTable, TableRow

UUID = bytes(range(16))
HEADER = envelope.pack_header(PACK, UUID)
WHAT = "pack 7-0123456789abcdef-1"
FRAMES = [Frame(0, bytes([i]) * 32, i, (), b"", bytes([i]) * i) for i in (3, 0, 200)]


def table_rows(frames: Sequence[Frame]) -> list[TableRow]:
    rows, end = [], envelope.HEADER_BYTES
    for item in frames:
        check = pack.packed(item).check
        rows.append(TableRow(item.chunk_id, end, item.frame_bytes, item.logical_bytes, check))
        end += item.frame_bytes
    return rows


END = envelope.HEADER_BYTES + sum(item.frame_bytes for item in FRAMES)


def parse(tail: bytes, digest: bytes | None = None, table_offset: int = END) -> list[TableRow]:
    """The rows of a pack that ends with `tail`, behind FRAMES if nothing else is said."""
    footer = tail[-pack.FOOTER_BYTES :]
    length = pack.table_bytes(footer, WHAT)
    table = tail[len(tail) - pack.FOOTER_BYTES - length : -pack.FOOTER_BYTES]
    return pack.parse_table(HEADER, table, footer, WHAT, table_offset, digest)


def sealed(table: bytes) -> bytes:
    """A tail with any bytes for a table, and a digest that is right."""
    length = struct.pack("<Q", len(table))
    return table + length + blake3(HEADER + table + length).digest() + pack.END_MAGIC


@pytest.mark.parametrize("frames", [[], FRAMES[:1], FRAMES])
def test_a_table_comes_back_as_it_was(frames: list[Frame]) -> None:
    tail, digest = pack.pack_tail(UUID, table_rows(frames))
    end = envelope.HEADER_BYTES + sum(item.frame_bytes for item in frames)
    assert parse(tail, digest, end) == table_rows(frames)
    assert tail == sealed(tail[: -pack.FOOTER_BYTES])


def test_every_flipped_bit_of_header_table_and_footer_is_found() -> None:
    tail, digest = pack.pack_tail(UUID, table_rows(FRAMES))
    for bit in range(8 * len(tail)):
        damaged = bytearray(tail)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptError, match=WHAT) as caught:
            parse(bytes(damaged), digest)
        assert caught.value.object == WHAT
    for bit in range(8 * len(HEADER)):
        header = bytearray(HEADER)
        header[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptError, match=WHAT):
            envelope.parse_header(bytes(header), PACK, UUID, WHAT)


def test_every_truncation_of_the_end_is_found() -> None:
    tail, digest = pack.pack_tail(UUID, table_rows(FRAMES))
    for n in range(len(tail)):
        with pytest.raises(CorruptError, match=WHAT):
            parse(tail[:n], digest)


def test_a_table_of_another_pack_is_found() -> None:
    tail, _ = pack.pack_tail(UUID, table_rows(FRAMES))
    with pytest.raises(IntegrityError, match="BLAKE3"):
        parse(tail, bytes(32))


def test_a_table_said_to_be_huge_is_refused_before_it_is_read() -> None:
    with pytest.raises(FormatError, match="over the limit"):
        pack.table_bytes(struct.pack("<Q", 2**63) + bytes(32) + pack.END_MAGIC, WHAT)


LIES = {
    "gap": {1: {"offset": 120}},
    "overlap": {1: {"offset": 100}},
    "before the header": {0: {"offset": 0}},
    "offset wraps": {2: {"offset": 2**64 - 1}},
    "longer": {0: {"frame_bytes": 64}},
    "huge frame": {2: {"frame_bytes": MAX_FRAME_BYTES + 1}},
    "huge chunk": {2: {"logical_bytes": MAX_CHUNK_BYTES + 1}},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_signed_table_that_lies_is_refused(lie: str) -> None:
    rows = [row._replace(**LIES[lie].get(i, {})) for i, row in enumerate(table_rows(FRAMES))]
    tail, digest = pack.pack_tail(UUID, rows)
    with pytest.raises(FormatError, match="gap or an impossible size"):
        parse(tail, digest)


def test_frames_that_do_not_reach_the_table_are_refused() -> None:
    tail, digest = pack.pack_tail(UUID, table_rows(FRAMES))
    with pytest.raises(FormatError, match="the frames end at"):
        parse(tail, digest, table_offset=1000)


@pytest.mark.parametrize("field", PackTable.__struct_fields__)
def test_a_column_of_another_length_is_refused(field: str) -> None:
    record = msgspec.msgpack.decode(pack.pack_tail(UUID, table_rows(FRAMES))[0][: -pack.FOOTER_BYTES], type=PackTable)
    longer = msgspec.structs.replace(record, **{field: getattr(record, field) + b"\0"})
    with pytest.raises(FormatError, match=WHAT):
        parse(sealed(msgspec.msgpack.encode(longer)))


@given(st.binary(max_size=100))
def test_a_signed_table_of_any_bytes_is_a_clean_error(table: bytes) -> None:
    with pytest.raises(FormatError, match=WHAT):
        parse(sealed(table))


@given(st.sampled_from(["u1", "<u2", "<u4", "<u8"]), st.data())
def test_a_column_comes_back_as_it_was(dtype: str, data: st.DataObject) -> None:
    bits = 8 * int(dtype[-1])
    values = data.draw(st.lists(st.integers(0, 2**bits - 1), max_size=20))
    column = columns.pack(values, dtype)
    assert columns.unpack(column, dtype, len(values), WHAT) == values
    assert column == b"".join(value.to_bytes(bits // 8, "little") for value in values)
    with pytest.raises(FormatError, match=WHAT):
        columns.unpack(column, dtype, len(values) + 1, WHAT)
