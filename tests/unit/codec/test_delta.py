"""Integer differences to a base."""

from __future__ import annotations

import numpy as np
import pytest

from ckstore.codec import delta, entropy
from ckstore.codec.entropy import UNKNOWN
from ckstore.codec.kinds import Kind
from ckstore.codec.scratch import Bytes, as_bytes
from ckstore.errors import FormatError, UnsupportedError
from codec_material import stepped, weights

KINDS = [Kind(width, is_float) for width in (1, 2, 4, 8) for is_float in (False, True)]


def _pair(kind: Kind, n: int) -> tuple[Bytes, Bytes]:
    rng = np.random.default_rng([kind.width, n])
    base = rng.integers(0, 256, n * kind.width, np.uint8)
    raw = base.copy()
    raw[:: kind.width] += rng.integers(0, 9, n, np.uint8)
    return raw, base


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 3000])
def test_differences_come_back(kind: Kind, n: int) -> None:
    raw, base = _pair(kind, n)
    payload = delta.encode(raw, base, kind, UNKNOWN, False)
    assert delta.parse_params(delta.pack_params(kind)) == kind
    out = np.full(len(raw), 0xAA, np.uint8)
    delta.decode(kind, payload.copy(), base, out)
    assert out.tobytes() == raw.tobytes()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_differences_of_unlike_chunks_come_back_though_larger(kind: Kind) -> None:
    rng = np.random.default_rng(2)
    raw, base = rng.integers(0, 256, 800, np.uint8), rng.integers(0, 256, 800, np.uint8)
    payload = delta.encode(raw, base, kind, UNKNOWN, False)
    out = np.zeros(800, np.uint8)
    delta.decode(kind, payload, base, out)
    assert out.tobytes() == raw.tobytes()


def test_a_small_step_costs_little() -> None:
    w = weights(8192)
    raw, base = stepped(w, 1e-6).view(np.uint8), w.view(np.uint8)
    assert len(delta.encode(raw, base, Kind(4, True), UNKNOWN, False)) < 0.55 * len(raw)


def test_a_damaged_payload_is_refused() -> None:
    raw, base = _pair(Kind(4, True), 500)
    good = delta.encode(raw, base, Kind(4, True), UNKNOWN, False).tobytes()
    other = entropy.heads([(entropy.RAW, as_bytes(b"")), (entropy.CONSTANT, as_bytes(b"\xff"))]) + b"\xff"
    for payload in (b"", good[:9], good[:-1], good + b"\0", other):
        with pytest.raises(FormatError):
            delta.decode(Kind(4, True), as_bytes(payload), base, np.zeros(2000, np.uint8))
    with pytest.raises(FormatError):
        delta.decode(Kind(4, True), as_bytes(good), base[:1999], np.zeros(1999, np.uint8))


def test_a_chunk_of_no_whole_elements_is_refused() -> None:
    payload = entropy.heads([(entropy.RAW, as_bytes(b"")), (entropy.CONSTANT, as_bytes(b"\0"))]) + b"\0"
    with pytest.raises(FormatError):
        delta.decode(Kind(4, True), as_bytes(payload), np.zeros(6, np.uint8), np.zeros(6, np.uint8))


def test_a_coded_bit_stream_belongs_to_a_newer_version() -> None:
    streams = [(entropy.CONSTANT, as_bytes(b"\0")), (entropy.CONSTANT, as_bytes(b"\0"))]
    payload = as_bytes(entropy.heads(streams) + b"\0\0")
    with pytest.raises(UnsupportedError):
        delta.decode(Kind(4, True), payload, np.zeros(400, np.uint8), np.zeros(400, np.uint8))


def test_unknown_parameters_are_refused() -> None:
    for params, error in ((b"", FormatError), (b"\0\4\1\0", FormatError), (b"\1\4\1", UnsupportedError)):
        with pytest.raises(error):
            delta.parse_params(params)
    for params in (b"\0\3\1", b"\0\4\2"):
        with pytest.raises(UnsupportedError):
            delta.parse_params(params)
