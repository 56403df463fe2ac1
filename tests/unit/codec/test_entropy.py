"""Streams: which tier they get, that they come back, and that nothing malformed does."""

from __future__ import annotations

import inspect
import tracemalloc

import numpy as np
import pytest
import zstandard

from ckstore.codec import entropy
from ckstore.codec.entropy import CONSTANT, GAPS, HUFFMAN, PALETTE, RAW, SPARSE, UNKNOWN, ZSTD, Stats, Stream
from ckstore.codec.levels import Level
from ckstore.codec.scratch import Bytes, as_bytes
from ckstore.errors import FormatError, UnsupportedError

RNG = np.random.default_rng(11)
NOISE = RNG.integers(0, 256, 10_000, np.uint8)
SKEWED = RNG.binomial(12, 0.4, 10_000).astype(np.uint8)
MOSTLY_SEVEN = np.where(RNG.random(10_000) < 0.95, 7, NOISE).astype(np.uint8)
OFTEN_SEVEN = np.where(RNG.random(10_000) < 0.6, 7, NOISE).astype(np.uint8)
SIXTEENTHS = (RNG.integers(0, 16, 10_000) * 5).astype(np.uint8)
TEXT = np.frombuffer(inspect.getsource(inspect).encode(), np.uint8)


def _encode(data: Bytes, stats: Stats = UNKNOWN, matches: bool = False, level: Level = Level.BALANCED) -> Stream:
    return entropy.encode(data, stats, matches, entropy.room("test", len(data)), level)


def _round_trip(
    data: Bytes, stats: Stats = UNKNOWN, matches: bool = False, level: Level = Level.BALANCED
) -> tuple[int, int]:
    tier, stored = _encode(data, stats, matches, level)
    out = np.full(len(data), 0xAA, np.uint8)
    entropy.decode(tier, stored.copy(), out)
    assert out.tobytes() == data.tobytes()
    return tier, len(stored)


def test_noise_is_stored_raw_whether_or_not_it_was_foreseen() -> None:
    assert _round_trip(NOISE, Stats(8.0, 0, 0.0)) == (RAW, len(NOISE))
    assert _round_trip(NOISE) == (RAW, len(NOISE))
    assert _round_trip(NOISE, matches=True) == (RAW, len(NOISE))


def test_one_value_is_stored_as_one_byte() -> None:
    assert _round_trip(np.full(1000, 9, np.uint8)) == (CONSTANT, 1)


def test_nothing_is_stored_as_nothing() -> None:
    assert _round_trip(NOISE[:0]) == (RAW, 0)


def test_skewed_bytes_come_within_two_per_cent_of_their_entropy() -> None:
    shares = np.bincount(SKEWED) / len(SKEWED)
    floor = -(shares[shares > 0] * np.log2(shares[shares > 0])).sum() * len(SKEWED) / 8
    tier, size = _round_trip(SKEWED)
    assert tier == HUFFMAN
    assert size < floor * 1.02 + 32


def test_a_frequent_byte_goes_under_one_bit_a_byte() -> None:
    for data, stats, expected, bits in (
        (MOSTLY_SEVEN, Stats(0.7, 7, 0.95), GAPS, 0.8),
        (OFTEN_SEVEN, Stats(4.1, 7, 0.6), SPARSE, 4.4),
    ):
        tier, size = _round_trip(data, stats)
        assert tier == expected
        assert size * 8 < bits * len(data)


def test_rare_bytes_cost_their_entropy_however_rare_they_are() -> None:
    rng = np.random.default_rng(2)
    for share in (0.2, 0.05, 0.01, 0.002):
        data = (rng.random(1 << 17) < share).astype(np.uint8)
        floor = -(share * np.log2(share) + (1 - share) * np.log2(1 - share)) * len(data) / 8
        tier, size = _round_trip(data, Stats(0.1, 0, 1 - share))
        assert tier == GAPS
        assert size < 1.06 * floor + 80


def test_a_palette_is_for_the_fast_level_or_where_it_costs_nothing() -> None:
    few, even = Stats(2.7, 5, 0.2), Stats(4.0, 5, 0.1)
    assert _round_trip(SKEWED, few)[0] == HUFFMAN
    assert _round_trip(SKEWED, few, level=Level.FAST)[0] == PALETTE
    assert _round_trip(SIXTEENTHS[SIXTEENTHS < 75], even)[0] == PALETTE
    assert _round_trip(SIXTEENTHS, even)[0] == HUFFMAN
    assert _round_trip(NOISE, few, level=Level.FAST)[0] == RAW


def test_the_archive_level_is_never_larger_than_another() -> None:
    for data in (NOISE, SKEWED, MOSTLY_SEVEN, OFTEN_SEVEN, SIXTEENTHS, TEXT):
        for stats in (UNKNOWN, Stats(3.0, 7, 0.2), Stats(0.7, 7, 0.95)):
            for matches in (False, True):
                sizes = {level: _round_trip(data, stats, matches, level)[1] for level in Level}
                assert sizes[Level.ARCHIVE] <= min(sizes.values()) + 8, (stats, matches)


def test_wrong_statistics_cost_bytes_but_never_truth() -> None:
    for data in (NOISE, SKEWED, MOSTLY_SEVEN, TEXT, NOISE[:1], NOISE[:9]):
        for stats in (Stats(0.0, 200, 1.0), Stats(7.0, 0, 0.5), Stats(8.0, 7, 0.0)):
            for matches in (False, True):
                assert _round_trip(data, stats, matches)[1] <= len(data)


def test_repeated_sequences_are_found_where_they_are_likely() -> None:
    tier, size = _round_trip(TEXT, matches=True)
    assert tier == ZSTD
    assert size < 0.7 * _round_trip(TEXT)[1]


def _refused(tier: int, stored: bytes, n: int, error: type[Exception] = FormatError) -> None:
    with pytest.raises(error):
        entropy.decode(tier, as_bytes(stored), np.zeros(n, np.uint8))


def test_streams_of_a_wrong_length_are_refused() -> None:
    frame = zstandard.compress(bytes(SKEWED))
    _refused(RAW, b"abc", 4)
    _refused(CONSTANT, b"", 4)
    _refused(CONSTANT, b"ab", 4)
    _refused(ZSTD, frame, len(SKEWED) - 1)
    _refused(ZSTD, frame, len(SKEWED) + 1)
    _refused(ZSTD, frame + b"\0", len(SKEWED))
    _refused(ZSTD, frame[:-1], len(SKEWED))
    _refused(ZSTD, b"", 4)
    _refused(ZSTD, frame + frame, len(SKEWED))
    blocks = _encode(SKEWED)[1].tobytes()
    for n in (len(SKEWED) - 8, len(SKEWED) - 1, len(SKEWED) + 1, len(SKEWED) + 8):
        _refused(HUFFMAN, blocks, n)
    _refused(HUFFMAN, blocks[:-1], len(SKEWED))
    _refused(HUFFMAN, blocks + b"\0", len(SKEWED))
    _refused(HUFFMAN, b"", 4)


def _zstd_frame(data: bytes, content_size: int, window_log: int) -> bytes:
    """A frame of one raw block whose header claims what it is told."""
    header = b"\x28\xb5\x2f\xfd\x80" + bytes([(window_log - 10) << 3]) + content_size.to_bytes(4, "little")
    return header + (len(data) << 3 | 1).to_bytes(3, "little") + data


def test_a_zstd_frame_that_claims_another_size_or_wants_much_memory_is_refused() -> None:
    data = bytes(NOISE[:100])
    out = np.zeros(100, np.uint8)
    entropy.decode(ZSTD, as_bytes(_zstd_frame(data, 100, 20)), out)
    assert out.tobytes() == data
    _refused(ZSTD, _zstd_frame(data, 100, 21), 100)
    _refused(ZSTD, _zstd_frame(data, 100, 27), 100)
    _refused(ZSTD, _zstd_frame(data, 99, 20), 100)
    _refused(ZSTD, _zstd_frame(data[:99], 100, 20), 100)
    _refused(ZSTD, _zstd_frame(data, 0xFFFFFFFF, 20), 100)
    hidden = zstandard.ZstdCompressor(write_content_size=False).compress(data)
    _refused(ZSTD, hidden, 100)


def test_sparse_streams_are_checked_in_every_part() -> None:
    tier, stored = _encode(OFTEN_SEVEN, Stats(4.1, 7, 0.6))
    good = stored.tobytes()
    assert tier == SPARSE
    n = len(OFTEN_SEVEN)
    for cut in (0, 4, 14, 15, len(good) - 1):
        _refused(SPARSE, good[:cut], n)
    _refused(SPARSE, good + b"\0", n)
    _refused(SPARSE, good, n + 800)
    _refused(SPARSE, good[:1] + (n + 1).to_bytes(4, "little") + good[5:], n)
    _refused(SPARSE, good[:5] + bytes([SPARSE]) + good[6:], n)
    _refused(SPARSE, good[:5] + bytes([77]) + good[6:], n, UnsupportedError)


def test_gaps_are_checked_in_every_part() -> None:
    tier, stored = _encode(MOSTLY_SEVEN, Stats(0.7, 7, 0.95))
    good, n = stored.tobytes(), len(MOSTLY_SEVEN)
    assert tier == GAPS
    for cut in (0, 4, 19, 20, len(good) - 1):
        _refused(GAPS, good[:cut], n)
    _refused(GAPS, good + b"\0", n)
    _refused(GAPS, good, n - 5000)
    _refused(GAPS, good[:1] + (n + 1).to_bytes(4, "little") + good[5:], n)
    _refused(GAPS, good[:1] + (1).to_bytes(4, "little") + good[5:], n)
    _refused(GAPS, good[:5] + bytes([CONSTANT]) + good[6:], n, UnsupportedError)
    _refused(GAPS, good[:10] + bytes([77]) + good[11:], n, UnsupportedError)
    for at in (5, 10, 15):
        for inner in (SPARSE, GAPS):
            _refused(GAPS, good[:at] + bytes([inner]) + good[at + 1 :], n)


def test_gaps_that_were_made_by_hand() -> None:
    def stored(bits: bytes, symbols: bytes, values: bytes) -> bytes:
        streams = [(RAW, as_bytes(part)) for part in (bits, symbols, values)]
        return b"\0" + len(values).to_bytes(4, "little") + entropy.heads(streams) + bits + symbols + values

    out = np.zeros(23, np.uint8)
    entropy.decode(GAPS, as_bytes(stored(b"\0", b"\x1a", b"\7")), out)  # a gap of 20
    assert out.tobytes() == bytes(20) + b"\7" + bytes(2)
    _refused(GAPS, stored(b"\x80", b"\x1a", b"\7"), 23)
    _refused(GAPS, stored(b"\0\0", b"\x1a", b"\7"), 23)
    _refused(GAPS, stored(b"", b"\x1a", b"\7"), 23)
    _refused(GAPS, stored(b"\0", b"\x1b", b"\7"), 23)
    _refused(GAPS, stored(b"\0", b"\x1a", b"\7"), 20)


def test_palettes_of_a_wrong_length_are_refused() -> None:
    good = _encode(SKEWED, Stats(2.7, 5, 0.2), level=Level.FAST)[1].tobytes()
    for bad in (b"", good[:14], good[:-1], good + b"\0"):
        _refused(PALETTE, bad, len(SKEWED))
    for n in (len(SKEWED) - 1, len(SKEWED) + 1, 2 * len(SKEWED)):
        _refused(PALETTE, good, n)


@pytest.mark.parametrize(("stats", "nested"), [(Stats(0.7, 7, 0.95), GAPS), (Stats(4.1, 7, 0.6), SPARSE)])
def test_a_sparse_stream_inside_another_is_refused(stats: Stats, nested: int) -> None:
    data = MOSTLY_SEVEN if nested == GAPS else OFTEN_SEVEN
    inner = _encode(data, stats)
    assert inner[0] == nested
    for streams in ([(CONSTANT, as_bytes(b"\xff")), inner], [inner, (CONSTANT, as_bytes(b"\1"))]):
        n = len(data) * (1 if streams[1] is inner else 8)
        head = bytes([0]) + len(data).to_bytes(4, "little") + entropy.heads(streams)
        with pytest.raises(FormatError, match="inside a sparse"):
            entropy.decode(SPARSE, as_bytes(head + b"".join(s.tobytes() for _, s in streams)), np.zeros(n, np.uint8))


def test_a_count_that_cannot_be_is_refused_before_memory_is_taken_for_it() -> None:
    stored = b"\0\xff\xff\xff\xff" + entropy.heads([(CONSTANT, as_bytes(b"\0"))] * 2) + b"\0\0"
    gaps = b"\0\xff\xff\xff\xff" + entropy.heads([(RAW, as_bytes(b"")), *[(CONSTANT, as_bytes(b"\0"))] * 2]) + b"\0\0"
    tracemalloc.start()
    try:
        _refused(SPARSE, stored, 100)
        _refused(GAPS, gaps, 100)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_an_unknown_tier_is_unsupported() -> None:
    _refused(7, b"", 0, UnsupportedError)
    _refused(255, b"abcd", 4, UnsupportedError)


def test_a_table_must_fill_its_payload() -> None:
    streams = [(RAW, as_bytes(b"abc")), (CONSTANT, as_bytes(b"x"))]
    data = entropy.heads(streams) + b"abcx"
    parsed = entropy.parse(as_bytes(data), 2)
    assert [(tier, stored.tobytes()) for tier, stored in parsed] == [(RAW, b"abc"), (CONSTANT, b"x")]
    for bad in (b"", data[:-1], data + b"y", data[:9], b"\0\xff\xff\xff\xff" + data[5:]):
        with pytest.raises(FormatError):
            entropy.parse(as_bytes(bad), 2)
