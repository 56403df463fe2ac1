"""Streams: which tier they get, that they come back, and that nothing malformed does."""

from __future__ import annotations

import inspect
import tracemalloc

import numpy as np
import pytest
import zstandard

from ckstore.codec import entropy
from ckstore.codec.entropy import CONSTANT, HUFFMAN, RAW, SPARSE, UNKNOWN, ZSTD, Stats, Stream
from ckstore.codec.scratch import Bytes, as_bytes
from ckstore.errors import FormatError, UnsupportedError

RNG = np.random.default_rng(11)
NOISE = RNG.integers(0, 256, 10_000, np.uint8)
SKEWED = RNG.binomial(12, 0.4, 10_000).astype(np.uint8)
MOSTLY_SEVEN = np.where(RNG.random(10_000) < 0.95, 7, NOISE).astype(np.uint8)
TEXT = np.frombuffer(inspect.getsource(inspect).encode(), np.uint8)


def _encode(data: Bytes, stats: Stats = UNKNOWN, matches: bool = False) -> Stream:
    return entropy.encode(data, stats, matches, entropy.room("test", len(data)))


def _round_trip(data: Bytes, stats: Stats = UNKNOWN, matches: bool = False) -> tuple[int, int]:
    tier, stored = _encode(data, stats, matches)
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
    tier, size = _round_trip(MOSTLY_SEVEN, Stats(0.7, 7, 0.95))
    assert tier == SPARSE
    assert size * 8 < 0.8 * len(MOSTLY_SEVEN)


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
    tier, stored = _encode(MOSTLY_SEVEN, Stats(0.7, 7, 0.95))
    good = stored.tobytes()
    assert tier == SPARSE
    n = len(MOSTLY_SEVEN)
    for cut in (0, 4, 14, 15, len(good) - 1):
        _refused(SPARSE, good[:cut], n)
    _refused(SPARSE, good + b"\0", n)
    _refused(SPARSE, good, n + 800)
    _refused(SPARSE, good[:1] + (n + 1).to_bytes(4, "little") + good[5:], n)
    _refused(SPARSE, good[:5] + bytes([SPARSE]) + good[6:], n)
    _refused(SPARSE, good[:5] + bytes([77]) + good[6:], n, UnsupportedError)


def test_a_sparse_stream_inside_another_is_refused() -> None:
    inner = _encode(MOSTLY_SEVEN, Stats(0.7, 7, 0.95))
    assert inner[0] == SPARSE
    for streams in ([(CONSTANT, as_bytes(b"\xff")), inner], [inner, (CONSTANT, as_bytes(b"\1"))]):
        n = len(MOSTLY_SEVEN) * (1 if streams[1] is inner else 8)
        head = bytes([0]) + len(MOSTLY_SEVEN).to_bytes(4, "little") + entropy.heads(streams)
        with pytest.raises(FormatError, match="inside a sparse"):
            entropy.decode(SPARSE, as_bytes(head + b"".join(s.tobytes() for _, s in streams)), np.zeros(n, np.uint8))


def test_a_count_that_cannot_be_is_refused_before_memory_is_taken_for_it() -> None:
    stored = b"\0\xff\xff\xff\xff" + entropy.heads([(CONSTANT, as_bytes(b"\0"))] * 2) + b"\0\0"
    tracemalloc.start()
    try:
        _refused(SPARSE, stored, 100)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_an_unknown_tier_is_unsupported() -> None:
    _refused(5, b"", 0, UnsupportedError)
    _refused(255, b"abcd", 4, UnsupportedError)


def test_a_table_must_fill_its_payload() -> None:
    streams = [(RAW, as_bytes(b"abc")), (CONSTANT, as_bytes(b"x"))]
    data = entropy.heads(streams) + b"abcx"
    parsed = entropy.parse(as_bytes(data), 2)
    assert [(tier, stored.tobytes()) for tier, stored in parsed] == [(RAW, b"abc"), (CONSTANT, b"x")]
    for bad in (b"", data[:-1], data + b"y", data[:9], b"\0\xff\xff\xff\xff" + data[5:]):
        with pytest.raises(FormatError):
            entropy.parse(as_bytes(bad), 2)
