"""Any bytes under any dtype, with any bases, come back and are never larger; any damaged frame is an error or bytes."""

from __future__ import annotations

import os
import random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckstore.codec.chunk import Encoded, Reference, decode_into, encode
from ckstore.codec.hints import AVERAGE, MOMENTUM, VARIANCE, WEIGHT, Hints, Update
from ckstore.codec.levels import Level
from ckstore.errors import CkError
from ckstore.format.frame import CODEC_NAMES, DELTA_INT, PREDICTED, ROLE_MASTER, ROLE_PREVIOUS
from ckstore.tensor import ITEM_BYTES
from codec_material import as_bfloat16, decoded, previous, round_trip, stepped, view, weights
from codec_training import adam, flat, of_average, of_variance, of_weight, update

DTYPES = (*ITEM_BYTES, "bytes:1", "bytes:3", "bytes:12", "bytes:100", "of tomorrow")
MUTATIONS = int(os.environ.get("CKSTORE_TEST_MUTATIONS", "12000"))


@st.composite
def chunks(draw: st.DrawFn, n_bytes: int | None = None) -> bytes:
    """Bytes of any length, whole elements or not: noise, few values, runs, smooth numbers, mostly zeros."""
    n = draw(st.one_of(st.integers(0, 300), st.integers(0, 20_000))) if n_bytes is None else n_bytes
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    shape = draw(st.sampled_from(["noise", "few", "runs", "floats", "sparse", "text"]))
    if shape == "floats":
        return (rng.standard_normal(n // 4 + 1).astype(np.float32).tobytes())[:n]
    data = rng.integers(0, 256, n, np.uint8)
    if shape == "few":
        data = data % draw(st.integers(1, 9))
    elif shape == "runs":
        data = np.repeat(data, draw(st.integers(1, 40)))[:n]
    elif shape == "sparse":
        data[rng.random(n) < 0.9] = 0
    elif shape == "text":
        data = np.frombuffer((b"some words, again and again; " * (n // 29 + 1))[:n], np.uint8)
    return data.tobytes()


@st.composite
def relatives(draw: st.DrawFn, data: bytes) -> bytes:
    """A chunk as long as `data`: near it, or not."""
    if draw(st.booleans()):
        return draw(chunks(len(data)))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    near = np.frombuffer(data, np.uint8).copy()
    changed = rng.random(len(near)) < draw(st.sampled_from([0.0, 0.01, 0.3, 1.0]))
    near[changed] ^= rng.integers(0, draw(st.sampled_from([2, 16, 256])), int(changed.sum()), np.uint8)
    return near.tobytes()


MANY = settings(max_examples=5 * settings().max_examples)


@MANY
@given(st.data(), st.sampled_from(DTYPES))
def test_any_bytes_come_back_and_are_never_larger(data: st.DataObject, dtype: str) -> None:
    raw = data.draw(chunks())
    bases = data.draw(st.lists(relatives(raw), max_size=2))
    round_trip(view(raw), dtype, [previous(dtype, base) for base in bases], level=data.draw(st.sampled_from(Level)))


@MANY
@given(st.data(), st.sampled_from([("bfloat16", "float32", 2), ("float16", "float32", 2), ("float32", "float64", 2)]))
def test_any_master_is_allowed(data: st.DataObject, dtypes: tuple[str, str, int]) -> None:
    narrow, wide, times = dtypes
    raw = data.draw(chunks())
    master = data.draw(chunks(times * len(raw)))
    references = [Reference(ROLE_MASTER, wide, view(master)), previous(narrow, data.draw(relatives(raw)))]
    round_trip(view(raw), narrow, references)


@st.composite
def hints(draw: st.DrawFn) -> Hints:
    """What an engine may say, true or not."""
    number = st.sampled_from([0.0, 1e-8, 0.001, 0.1, 0.5, 0.9, 0.999, 1.0, -1.0, 1e30])
    some = st.lists(number, max_size=2).map(tuple)
    count = st.sampled_from([None, -1, 0, 1, 2, 100])
    known = Update(*(draw(some) for _ in range(5)), draw(st.booleans()), draw(st.booleans()), draw(number), draw(count),
                   draw(count))  # fmt: skip
    part = draw(st.sampled_from([WEIGHT, MOMENTUM, VARIANCE, AVERAGE, "", "of tomorrow"]))
    return Hints(part, draw(st.integers(0, 300)), draw(st.integers(0, 1000)), draw(st.sampled_from([None, known])))


_NARROW = {"float32": 4, "bfloat16": 2, "float16": 2}


@MANY
@given(st.data(), st.sampled_from(sorted(_NARROW)), hints())
def test_any_companions_and_hints_are_allowed(data: st.DataObject, dtype: str, known: Hints) -> None:
    raw = data.draw(chunks())
    raw = raw[: len(raw) // 4 * 4]
    references = [previous(dtype, data.draw(relatives(raw)))] if data.draw(st.booleans()) else []
    for role in data.draw(st.lists(st.integers(2, 9), max_size=5)):
        other = data.draw(st.sampled_from(sorted(_NARROW)))
        n_bytes = len(raw) // _NARROW[dtype] * _NARROW[other]
        references.append(Reference(role, other, view(data.draw(chunks(n_bytes)))))
    round_trip(view(raw), dtype, references, known)


@MANY
@given(st.integers(0, 20), st.integers(1, 12), st.booleans(), st.sampled_from([None, True, False]))
def test_any_steps_of_an_optimiser_come_back(seed: int, steps: int, lazy: bool, told: bool | None) -> None:
    before, now = adam(4 + steps, (4, 4 + steps), lazy, seed)
    known = None if told is None else update(steps, 4 + steps) if told else update(1, 77)
    cut = slice(seed * 7, len(now.w.reshape(-1)) - steps)

    def part(data: npt.NDArray[np.float32]) -> memoryview:
        return flat(data.reshape(-1)[cut])

    for name, data, references in (
        (WEIGHT, now.w, of_weight(before, now)),
        (VARIANCE, now.v, of_variance(before, now)),
        (AVERAGE, now.w, of_average(before.w, now.m, before.m)),
        (MOMENTUM, now.m, []),
    ):
        cut_references = [Reference(r.role, r.dtype, part(np.frombuffer(r.data, "f4"))) for r in references]
        round_trip(part(data), "float32", cut_references, Hints(name, now.w.shape[1], cut.start, known))


def _frames() -> list[tuple[Encoded, list[Reference], bytes]]:
    w, rng = weights(600), np.random.default_rng(4)
    pruned = np.where(rng.random(600) < 0.7, np.float32(0), w)
    low = (w.view(np.uint32) ^ rng.integers(0, 256, 600, np.uint32)).view(np.float32)
    few = np.where(rng.random(2400) < 0.9, 3, rng.integers(0, 256, 2400)).astype(np.uint8)
    double, half = w.astype(np.float64), as_bfloat16(w)
    made: list[tuple[memoryview, str, list[Reference]]] = [
        (view(w), "float32", []),
        (view(half), "bfloat16", []),
        (view(pruned), "float32", []),
        (view(few), "uint8", []),
        (view(np.arange(600)), "int64", []),
        (view(b"text and more text. " * 120), "bytes:20", []),
        (view(np.ones(600, np.float32)), "float32", []),
        (view(stepped(w)), "float32", [previous("float32", w)]),
        (view(as_bfloat16(stepped(w))), "bfloat16", [previous("bfloat16", half)]),
        (view(double * (1 + 1e-12)), "float64", [previous("float64", double)]),
        (view(low), "float32", [previous("float32", w)]),
        (view(half), "bfloat16", [Reference(ROLE_MASTER, "float32", view(w))]),
    ]
    frames = [
        (encode(raw, dtype, references, level=level), references, bytes(raw))
        for raw, dtype, references in made
        for level in (Level.BALANCED, Level.FAST)
    ]
    before, now, later = adam(20, (12, 13, 20))
    trained = [
        (now.w, of_weight(before, now), WEIGHT, 1, 13),
        (now.v, of_variance(before, now), VARIANCE, 1, 13),
        (later.w, of_weight(before, later), WEIGHT, 8, 20),
        (later.m, [], MOMENTUM, 8, 20),
    ]
    for data, references, part, steps, step in trained:
        known = Hints(part, data.shape[1], 0, update(steps, step))
        frames.append((encode(flat(data), "float32", references, known), references, bytes(flat(data))))
    return frames


FRAMES = _frames()


def _mutated(rng: random.Random, data: bytes) -> bytes:
    """`data` with bits flipped, bytes set, cut, extended, moved, or lengths near the front changed."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        at, how = rng.randrange(len(out) + 1), rng.randrange(6)
        if how == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif how == 1 and out:
            out[rng.randrange(min(len(out), 40))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif how == 2:
            del out[at:]
        elif how == 3:
            out[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif how == 4:
            del out[at : at + rng.randrange(1, 9)]
        elif out:
            out[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", rng.randbytes(4)))
    return bytes(out)


@pytest.mark.parametrize("number", range(len(FRAMES)))
def test_a_damaged_frame_is_an_error_or_bytes_of_the_right_length(number: int) -> None:
    encoded, references, raw = FRAMES[number]
    rng = random.Random(number)
    bases = [references[i].data for i in encoded.used]
    room = bytearray(len(raw) + 64)
    for _ in range(MUTATIONS // len(FRAMES)):
        params, payload, given_bases, codec = encoded.params, bytes(encoded.payload), list(bases), encoded.codec
        what = rng.randrange(8)
        if what == 0:
            params = _mutated(rng, params)
        elif what == 1:
            codec = rng.randrange(9)
        elif what == 2 and given_bases:
            given_bases[0] = memoryview(_mutated(rng, bytes(given_bases[0])))
        else:
            payload = _mutated(rng, payload)
        room[len(raw) :] = b"\xaa" * 64
        try:
            decode_into(codec, params, memoryview(payload), given_bases, memoryview(room)[: len(raw)])
        except CkError:
            pass
        assert room[len(raw) :] == b"\xaa" * 64


@MANY
@given(st.integers(0, 9), st.binary(max_size=40), st.binary(max_size=400), st.lists(st.binary(max_size=64), max_size=2))
def test_any_bytes_at_all_are_an_error_or_a_chunk(
    codec: int, params: bytes, payload: bytes, bases: list[bytes]
) -> None:
    for n_bytes in (0, 1, 64):
        try:
            decode_into(
                codec, params, memoryview(payload), [memoryview(b) for b in bases], memoryview(bytearray(n_bytes))
            )
        except CkError:
            continue


def test_the_undamaged_frames_decode() -> None:
    assert {CODEC_NAMES[encoded.codec] for encoded, _, _ in FRAMES} >= {
        "planes",
        "delta_int",
        "delta_xor",
        "round",
        "predicted",
    }
    assert any(encoded.codec == DELTA_INT and encoded.params[2] & 2 for encoded, _, _ in FRAMES)
    assert any(encoded.codec == PREDICTED and encoded.params[2] & 2 for encoded, _, _ in FRAMES)
    for encoded, references, raw in FRAMES:
        assert decoded(encoded, references, len(raw)) == raw
        assert ROLE_PREVIOUS in {reference.role for reference in references} or len(encoded.used) < 2
