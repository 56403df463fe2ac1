"""Planes of elements, with and without base and holes."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest

from ckstore.codec import entropy, planes
from ckstore.codec.entropy import UNKNOWN, Stats
from ckstore.codec.planes import Shape
from ckstore.codec.scratch import Bytes
from ckstore.errors import FormatError, UnsupportedError
from codec_material import weights

WIDTHS = (1, 2, 4, 8)


def _data(width: int, n: int) -> Bytes:
    data = np.random.default_rng([width, n]).integers(0, 256, n * width, np.uint8).reshape(n, width)
    data[::3] = 0
    data[1::7] = 0
    data[1::7, -1] = 0x80
    return data.reshape(-1)


def _round_trip(raw: Bytes, base: Bytes | None, shape: Shape) -> Bytes:
    payload = planes.encode(raw, base, shape, [UNKNOWN] * shape.width, False)
    out = np.full(len(raw), 0xAA, np.uint8)
    assert planes.parse_params(planes.pack_params(shape)) == shape
    planes.decode(shape, payload.copy(), base, out)
    assert out.tobytes() == raw.tobytes()
    return payload


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 1000])
def test_planes_come_back_rotated_or_not_with_a_base_or_without(width: int, n: int) -> None:
    raw = _data(width, n)
    for rotate, base in itertools.product((False, True), (None, raw[::-1].copy())):
        _round_trip(raw, base, Shape(width, rotate))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("n", [0, 1, 8, 9, 1000])
def test_elements_left_out_come_back(width: int, n: int) -> None:
    zero, minus_zero = 0, 1 << (8 * width - 1)
    for holes in ((zero,), (minus_zero,), (zero, minus_zero), (minus_zero, zero), (zero, zero), (77,)):
        _round_trip(_data(width, n), None, Shape(width, width > 1, holes))


def test_noise_planes_are_stored_where_they_are_and_exponents_coded() -> None:
    raw = weights(8192).view(np.uint8)
    noise, skewed = Stats(8.0, 0, 0.0), Stats(3.0, 0, 0.0)
    payload = planes.encode(raw, None, Shape(4, True), [noise, noise, noise, skewed], False)
    assert 3 * 8192 < len(payload) < 3.5 * 8192
    lowest = (raw.view("<u4") << 1 | raw.view("<u4") >> 31).astype(np.uint8)
    assert payload[20 : 20 + 8192].tobytes() == lowest.tobytes()


@pytest.mark.parametrize(
    "params",
    [b"", b"\0\4\0", b"\0\4\0\1\0\0\0", b"\0\4\0\0\0", b"\0\2\0\1\0\0\0", b"\0\4\3\0", b"\0\4\3\0" + bytes(7)],
    ids=lambda p: p.hex() or "none",
)
def test_parameters_of_a_wrong_length_are_refused(params: bytes) -> None:
    with pytest.raises(FormatError):
        planes.parse_params(params)


@pytest.mark.parametrize(
    "params",
    [b"\1\4\0\0", b"\0\3\0\0", b"\0\4\2\0", b"\0\1\0\3abc", b"\0\4\4\0", b"\0\1\3\0", b"\0\4\3\1"],
    ids=lambda p: p.hex(),
)
def test_parameters_of_a_newer_layout_are_unsupported(params: bytes) -> None:
    with pytest.raises(UnsupportedError):
        planes.parse_params(params)


def test_a_payload_that_does_not_fit_its_chunk_is_refused() -> None:
    raw, shape = _data(4, 100), Shape(4, True, (0,))
    good = planes.encode(raw, None, shape, [UNKNOWN] * 4, False).tobytes()
    bad = [b"", good[:3], good[:-1], good + b"\0", (101).to_bytes(4, "little") + good[4:], bytes(4) + good[4:]]
    for payload in bad:
        with pytest.raises(FormatError):
            planes.decode(shape, np.frombuffer(payload, np.uint8), None, np.zeros(400, np.uint8))
    for n_bytes in (380, 420, 402, 0):
        with pytest.raises(FormatError):
            planes.decode(shape, np.frombuffer(good, np.uint8), None, np.zeros(n_bytes, np.uint8))


def test_a_count_that_cannot_be_is_refused_before_memory_is_taken_for_it() -> None:
    streams = [(entropy.CONSTANT, np.zeros(1, np.uint8))] * 9
    payload = np.frombuffer(b"\xff\xff\xff\x7f" + entropy.heads(streams) + bytes(9), np.uint8)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            planes.decode(Shape(8, True, (0,)), payload, None, np.zeros(800, np.uint8))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_holes_and_a_base_together_are_refused() -> None:
    raw, shape = _data(4, 100), Shape(4, False, (0,))
    good = planes.encode(raw, None, shape, [UNKNOWN] * 4, False)
    with pytest.raises(FormatError):
        planes.decode(shape, good, raw.copy(), np.zeros(400, np.uint8))


def test_a_bitmap_with_another_number_of_elements_than_there_are_is_refused() -> None:
    ones = [(entropy.CONSTANT, np.full(1, 255, np.uint8)), *[(entropy.CONSTANT, np.ones(1, np.uint8))] * 4]
    tail = entropy.heads(ones) + b"".join(stored.tobytes() for _, stored in ones)
    shape, out = Shape(4, False, (0,)), np.zeros(32, np.uint8)
    planes.decode(shape, np.frombuffer((8).to_bytes(4, "little") + tail, np.uint8), None, out)
    assert (out == 1).all()
    with pytest.raises(FormatError, match="bitmap does not fit"):
        planes.decode(shape, np.frombuffer((7).to_bytes(4, "little") + tail, np.uint8), None, out)
