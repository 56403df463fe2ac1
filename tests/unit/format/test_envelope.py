"""The envelope: what is written comes back, and nothing else is ever taken for it."""

from __future__ import annotations

import struct
from contextlib import suppress

import msgspec
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from ckstore.errors import CkError, CorruptError, FormatError, IntegrityError, UnsupportedError, UsageError
from ckstore.format import envelope
from ckstore.format.names import CATALOG, CLOSURE, ROOT
from ckstore.format.records import CatalogPage, Closure, PackUse, PageRef
from ckstore.format.segment import SegmentPage

UUID = bytes(range(16))
WHAT = "closure 7-0123456789abcdef-3"
NAME = "7-0123456789abcdef-3"
RECORD = Closure(
    3,
    [PackUse(NAME, 5)],
    [],
    [PageRef("", 56 + 10 * i, 10, 20, bytes(32), 3) for i in range(3)],
    envelope.encode_map({"k": "v" * 40}),
)


def whole(compress: bool = True, pages: tuple[bytes, ...] = ()) -> bytes:
    return envelope.encode(CLOSURE, UUID, RECORD, pages, compress)[0]


def read(data: bytes, kind: int = CLOSURE, uuid: bytes | None = UUID, digest: bytes | None = None) -> Closure:
    header = envelope.parse_header(data, kind, uuid, WHAT)
    record, _ = envelope.decode_head(
        data[: envelope.HEADER_BYTES], header, data[header.head_offset :], Closure, WHAT, digest
    )
    return record


def signed(data: bytes, **fields: int | bytes) -> bytes:
    """`data` with header fields replaced and the check made right again."""
    names = ("magic", "kind", "version", "codec", "zero", "check", "uuid", "offset", "stored", "raw")
    values = dict(zip(names, struct.unpack("<8sBBBBI16sQQQ", data[:56]), strict=True)) | fields
    plain = struct.pack("<8sBBBBI16sQQQ", *values.values())
    check = envelope._check(plain)
    return plain[:12] + struct.pack("<I", check) + plain[16:] + data[56:]


def resealed(data: bytes, **fields: int | bytes) -> bytes:
    """The same, and the digest too: what somebody would write who means harm."""
    changed = signed(data, **fields)
    header = struct.unpack("<QQQ", data[32:56])
    head = changed[header[0] : header[0] + header[1]]
    return changed[: header[0]] + head + blake3(changed[:56] + head).digest()


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("pages", [(), (b"one", b"", b"three")])
def test_an_object_comes_back_as_it_was(compress: bool, pages: tuple[bytes, ...]) -> None:
    data, digest = envelope.encode(CLOSURE, UUID, RECORD, pages, compress)
    header = envelope.parse_header(data, CLOSURE, UUID, WHAT)
    assert read(data, digest=digest) == RECORD
    assert header.end == len(data)
    assert data[56 : header.head_offset] == b"".join(pages)


@pytest.mark.parametrize("compress", [True, False])
def test_every_truncation_is_found(compress: bool) -> None:
    data = whole(compress)
    for n in range(len(data)):
        with pytest.raises((FormatError, IntegrityError), match=WHAT):
            read(data[:n])


def test_bytes_behind_the_digest_are_found() -> None:
    with pytest.raises(FormatError, match="too long"):
        read(whole() + b"\0")


@pytest.mark.parametrize("compress", [True, False])
def test_every_flipped_bit_is_found(compress: bool) -> None:
    data = whole(compress)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptError, match=WHAT):
            read(bytes(damaged))


def test_an_object_of_another_kind_is_refused() -> None:
    with pytest.raises(FormatError, match="expected 2"):
        read(whole(), kind=CATALOG)


def test_an_object_of_another_store_is_refused() -> None:
    with pytest.raises(FormatError, match="another store"):
        read(whole(), uuid=bytes(16))


def test_the_first_root_may_tell_which_store_it_is() -> None:
    assert envelope.parse_header(envelope.pack_header(ROOT, UUID), ROOT, None, WHAT).uuid == UUID


def test_an_object_that_is_whole_but_not_the_one_meant_is_refused() -> None:
    with pytest.raises(IntegrityError, match="BLAKE3"):
        read(whole(), digest=bytes(32))


@pytest.mark.parametrize("fields", [{"version": 2}, {"codec": 2}, {"codec": 255}, {"zero": 1}])
def test_a_header_of_a_later_version_asks_for_a_newer_ckstore(fields: dict[str, int]) -> None:
    with pytest.raises(UnsupportedError, match="newer ckstore"):
        read(resealed(whole(), **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"stored": 2**64 - 1},
        {"stored": (64 << 20) + 1},
        {"raw": 2**64 - 1},
        {"raw": (64 << 20) + 1},
        {"offset": 2**64 - 1},
        {"offset": 2**62},
        {"offset": 0},
        {"offset": 55},
        {"stored": 0},
        {"raw": 0},
        {"raw": 1},
        {"raw": 64 << 20},
    ],
)
@pytest.mark.parametrize("compress", [True, False])
def test_no_lie_about_sizes_is_believed(fields: dict[str, int], compress: bool) -> None:
    with pytest.raises(CorruptError, match=WHAT):
        read(resealed(whole(compress), **fields))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"stored": (64 << 20) + 1}, "over the limit"),
        ({"raw": (64 << 20) + 1}, "over the limit"),
        ({"offset": 2**62}, "where none can be"),
        ({"offset": 55}, "where none can be"),
    ],
)
def test_a_header_alone_shows_sizes_that_cannot_be(fields: dict[str, int], problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        envelope.parse_header(signed(whole(), **fields)[:56], CLOSURE, UUID, WHAT)


def test_a_record_that_no_reader_would_take_is_not_written() -> None:
    page = SegmentPage(bytes(envelope.MAX_RAW_BYTES), b"", b"", b"", b"")
    with pytest.raises(UsageError, match="SegmentPage takes"):
        envelope.encode(CLOSURE, UUID, page)
    with pytest.raises(UsageError, match="SegmentPage takes"):
        envelope.encode_page(page)


PAGE = SegmentPage(bytes(64), bytes(8), bytes(16), bytes(8), bytes(8))


def page_ref(stored: bytes, raw_bytes: int) -> PageRef:
    return PageRef("", 56, len(stored), raw_bytes, blake3(stored).digest(), 2)


@pytest.mark.parametrize("record", [PAGE, CatalogPage([])])
def test_a_page_comes_back_as_it_was(record: msgspec.Struct) -> None:
    stored, raw_bytes, digest = envelope.encode_page(record)
    ref = PageRef("", 56, len(stored), raw_bytes, digest, 0)
    assert envelope.decode_page(stored, ref, type(record), WHAT) == record


def test_every_truncation_and_flipped_bit_of_a_page_is_found() -> None:
    stored, raw_bytes, _ = envelope.encode_page(PAGE)
    ref = page_ref(stored, raw_bytes)
    for n in range(len(stored)):
        with pytest.raises(IntegrityError, match=WHAT):
            envelope.decode_page(stored[:n], ref, SegmentPage, WHAT)
    for bit in range(8 * len(stored)):
        damaged = bytearray(stored)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError, match=WHAT):
            envelope.decode_page(bytes(damaged), ref, SegmentPage, WHAT)


def test_a_page_with_a_later_codec_asks_for_a_newer_ckstore() -> None:
    with pytest.raises(UnsupportedError, match="newer ckstore"):
        envelope.decode_page(b"\x02abc", page_ref(b"\x02abc", 3), SegmentPage, WHAT)


@pytest.mark.parametrize(("stored", "raw_bytes"), [(b"", 0), (b"\0", 0), (b"\0abc", 4), (b"\0abc", 1 << 40)])
def test_a_page_that_is_signed_but_wrong_is_refused(stored: bytes, raw_bytes: int) -> None:
    with pytest.raises(FormatError, match=WHAT):
        envelope.decode_page(stored, page_ref(stored, raw_bytes), SegmentPage, WHAT)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_an_object_or_a_clean_error(data: bytes, with_magic: bool) -> None:
    with suppress(CkError):
        read((envelope.MAGIC if with_magic else b"") + data)


@given(st.data())
def test_any_resealed_header_is_taken_or_a_clean_error(data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(["offset", "stored", "raw", "codec", "kind"])))
    fields = {name: data.draw(st.integers(0, 255 if name in ("codec", "kind") else 2**64 - 1)) for name in names}
    with suppress(CkError):
        assert read(resealed(whole(), **fields)) == RECORD
