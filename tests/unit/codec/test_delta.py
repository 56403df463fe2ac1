"""Integer differences to a base."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from ckstore._native import kernels
from ckstore.codec import delta, entropy
from ckstore.codec.delta import Center
from ckstore.codec.entropy import UNKNOWN
from ckstore.codec.kinds import Kind
from ckstore.codec.scratch import Bytes, as_bytes
from ckstore.errors import FormatError, UnsupportedError
from codec_material import stepped, weights
from tests.support import kernel_model

RECENTRED = [(2, 7), (2, 10), (4, 23), (8, 52)]
"""Widths and bits below the exponent."""
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
    assert delta.parse_params(delta.pack_params(kind)) == (kind, False)
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
    for params in (b"\0\3\1", b"\0\4\2", b"\0\4\4", b"\0\1\3", b"\0\3\3"):
        with pytest.raises(UnsupportedError):
            delta.parse_params(params)


def _floats(width: int, mantissa: int, n: int, apart: float, seed: int = 0) -> tuple[Bytes, Bytes]:
    """Numbers of all sizes, others that differ from them by about as much everywhere, and special ones among them."""
    rng = np.random.default_rng([width, mantissa, n, seed])
    base = rng.standard_normal(n) * 2.0 ** rng.integers(-12, 3, n)
    base[::17] = rng.choice([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-310, 5e-324, 1e-40, 6e-8], len(base[::17]))
    raw = np.where(rng.random(n) < 0.1, base, base + rng.standard_normal(n) * apart)
    if (width, mantissa) == (2, 7):
        return as_bytes(raw.astype(ml_dtypes.bfloat16).tobytes()), as_bytes(base.astype(ml_dtypes.bfloat16).tobytes())
    with np.errstate(over="ignore"):
        return as_bytes(raw.astype(f"<f{width}").tobytes()), as_bytes(base.astype(f"<f{width}").tobytes())


@pytest.mark.parametrize(("width", "mantissa"), RECENTRED)
@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 1500])
def test_recentred_differences_come_back(kernel_variant: str, width: int, mantissa: int, n: int) -> None:
    raw, base = _floats(width, mantissa, n, 1e-3)
    kind = Kind(width, True)
    assert delta.parse_params(delta.pack_params(kind, True)) == (kind, True)
    for origin in (-32768, -1, 0, 5, 15, 100, 117, 125, 1010, 2047, 32767):
        payload = delta.encode(raw, base, kind, UNKNOWN, False, Center(origin, mantissa))
        out = np.full(len(raw), 0xAA, np.uint8)
        delta.decode(kind, payload.copy(), base, out, recentred=True)
        assert out.tobytes() == raw.tobytes()


@pytest.mark.parametrize(("width", "mantissa"), RECENTRED)
def test_recentred_differences_are_what_their_definition_says(kernel_variant: str, width: int, mantissa: int) -> None:
    for seed, origin in enumerate((-3, 0, 7, 20, 112, 125, 1000)):
        raw, base = _floats(width, mantissa, 300, 1e-3, seed)
        symbols, bits = np.empty(300, np.uint8), np.empty(len(raw) + kernels.BITS_SLACK, np.uint8)
        used = kernels.delta_split(raw, base, width, True, symbols, bits, origin, mantissa)
        model = kernel_model.split(raw, base, width, origin, mantissa)
        assert (symbols.tobytes(), bits[:used].tobytes()) == model
        assert kernel_model.merge(*model, base, width, origin, mantissa) == raw.tobytes()


def test_steps_of_one_size_cost_less_when_they_are_recentred() -> None:
    w = weights(8192)
    raw, base = stepped(w, 1e-4).view(np.uint8), w.view(np.uint8)
    plain = delta.encode(raw, base, Kind(4, True), UNKNOWN, False)
    assert len(delta.encode(raw, base, Kind(4, True), UNKNOWN, False, Center(126, 23))) < 0.985 * len(plain)


def test_a_damaged_payload_of_recentred_differences_is_refused() -> None:
    raw, base = _floats(4, 23, 500, 1e-3)
    good = delta.encode(raw, base, Kind(4, True), UNKNOWN, False, Center(117, 23)).tobytes()
    for payload in (b"", good[:2], good[:12], good[:-1], good + b"\0", good[1:]):
        with pytest.raises((FormatError, UnsupportedError)):
            delta.decode(Kind(4, True), as_bytes(payload), base, np.zeros(2000, np.uint8), recentred=True)
    for mantissa in (0, 7, 22, 24, 52, 255):
        bad = as_bytes(good[:2] + bytes([mantissa]) + good[3:])
        with pytest.raises(UnsupportedError):
            delta.decode(Kind(4, True), bad, base, np.zeros(2000, np.uint8), recentred=True)


def test_a_class_that_no_base_allows_is_refused() -> None:
    ones = np.ones(10, np.float32).view(np.uint8)
    for origin, c in ((200, 1), (-200, 30), (127 + 32, 1)):
        table = entropy.heads([(entropy.RAW, as_bytes(b"")), (entropy.CONSTANT, as_bytes(b"\0"))])
        payload = as_bytes(origin.to_bytes(2, "little", signed=True) + b"\x17" + table + bytes([8 * c]))
        with pytest.raises(FormatError):
            delta.decode(Kind(4, True), payload, ones, np.zeros(40, np.uint8), recentred=True)
