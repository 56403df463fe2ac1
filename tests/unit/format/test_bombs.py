"""Small files that stand for much memory: refused before it is taken; and what a writer makes is never one of them."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest
import zstandard
from blake3 import blake3

from ckstore.errors import FormatError
from ckstore.format import envelope
from ckstore.format.names import CLOSURE
from ckstore.format.records import PageRef
from ckstore.format.segment import Segment, SegmentPage
from tests.unit.format.test_envelope import PAGE, RECORD, UUID, WHAT, page_ref, read


def sealed(stored: bytes, raw_bytes: int) -> bytes:
    """An object with any bytes for a compressed head."""
    header = envelope.pack_header(CLOSURE, UUID, 1, 56, len(stored), raw_bytes)
    return header + stored + blake3(header + stored).digest()


BOMB = zstandard.ZstdCompressor(level=1).compress(bytes(200 << 20))
UNSIZED = zstandard.ZstdCompressor(write_content_size=False).compress(msgspec.msgpack.encode(RECORD))
BOMBS = [
    pytest.param(BOMB, len(BOMB), id="says less"),
    pytest.param(BOMB, 200 << 20, id="says the truth"),
    pytest.param(BOMB, 64 << 20, id="says the limit"),
    pytest.param(UNSIZED, len(msgspec.msgpack.encode(RECORD)), id="unsized"),
    pytest.param(b"", 0, id="nothing"),
    pytest.param(b"\x28\xb5\x2f\xfd" + b"\xff" * 30, 30, id="no zstd"),
    pytest.param(zstandard.compress(b"\x90") + b"\0", 1, id="bytes behind"),
]


@pytest.mark.parametrize(("stored", "raw_bytes"), BOMBS)
def test_a_decompression_bomb_is_refused_in_little_memory(stored: bytes, raw_bytes: int) -> None:
    ref = PageRef("", 56, len(stored) + 1, raw_bytes, blake3(b"\x01" + stored).digest(), 1)
    tracemalloc.start()
    with pytest.raises(FormatError, match=WHAT):
        read(sealed(stored, raw_bytes))
    with pytest.raises(FormatError, match=WHAT):
        envelope.decode_page(b"\x01" + stored, ref, SegmentPage, WHAT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_few_bytes_that_stand_for_very_many_are_refused_in_little_memory() -> None:
    """Sizes that are true and below the limit, from a file that costs nobody anything."""
    raw = msgspec.msgpack.encode(SegmentPage(bytes(32 << 20), b"", b"", b"", b""))
    stored = zstandard.ZstdCompressor(level=1).compress(raw)
    page = b"\x01" + stored
    tracemalloc.start()
    with pytest.raises(FormatError, match=f"{WHAT}.*too many"):
        read(sealed(stored, len(raw)))
    for n_pages in (1, 40):
        refs = [PageRef("", 56 + i * len(page), len(page), len(raw) // n_pages, bytes(32), 1) for i in range(n_pages)]
        with pytest.raises(ValueError, match="too large for what is stored"):
            Segment([], 0, 0, b"", refs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_pages_of_one_holder_that_lie_over_each_other_are_refused() -> None:
    """Else each byte of a file could be read as often as there are pages."""
    refs = [
        PageRef(holder, 56 + 10 * i, 10, 10, bytes(32), 1) for i in range(5) for holder in ("", "1-00000000000000aa-1")
    ]
    Segment([], 0, 0, bytes(320), refs[::-1])
    for wrong in (refs[2], msgspec.structs.replace(refs[2], offset=75), msgspec.structs.replace(refs[2], offset=1)):
        with pytest.raises(ValueError, match="lies over another"):
            Segment([], 0, 0, b"", [*refs, msgspec.structs.replace(wrong, stored_bytes=60)])


def test_a_page_that_is_shorter_than_its_reference_says_is_refused() -> None:
    stored, raw_bytes, _ = envelope.encode_page(PAGE)
    ref = msgspec.structs.replace(page_ref(stored, raw_bytes), stored_bytes=len(stored) + 1)
    with pytest.raises(FormatError, match="bad size"):
        envelope.decode_page(stored, ref, SegmentPage, WHAT)


@pytest.mark.parametrize("n_bytes", [0, 4000, 300_000, 8 << 20, 9 << 20])
@pytest.mark.parametrize("fill", [b"\0", b"0123456789abcdef" * 8 + bytes(2000)])
def test_a_record_that_shrinks_to_almost_nothing_can_be_read(n_bytes: int, fill: bytes) -> None:
    record = SegmentPage((fill * (n_bytes // len(fill) + 1))[:n_bytes], b"", b"", b"", b"")
    stored, raw_bytes, _ = envelope.encode_page(record)
    assert envelope.decode_page(stored, page_ref(stored, raw_bytes), SegmentPage, WHAT) == record
    data, digest = envelope.encode(CLOSURE, UUID, record)
    header = envelope.parse_header(data[:56], CLOSURE, UUID, WHAT)
    assert envelope.decode_head(data[:56], header, data[56:], SegmentPage, WHAT, digest)[0] == record
