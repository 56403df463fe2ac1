"""The two doors: what they take, what they refuse, and that threads do not meet in them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ckstore.codec.chunk import Encoded, Reference, decode_into, encode
from ckstore.codec.hints import WEIGHT, Hints
from ckstore.errors import FormatError, UnsupportedError, UsageError
from ckstore.format.frame import CODEC_NAMES, FILL, PLANES, RAW, ROLE_MASTER, ROUND
from codec_material import as_bfloat16, decoded, previous, round_trip, stepped, view, weights
from codec_training import adam, flat, of_weight, update


def test_an_empty_chunk_is_raw() -> None:
    encoded = round_trip(view(b""), "float32")
    assert (encoded.codec, encoded.params, len(encoded.payload)) == (RAW, b"", 0)


def test_one_value_everywhere_is_a_fill_without_payload() -> None:
    encoded = round_trip(view(np.full(5000, 1.5, np.float32)), "float32")
    assert (encoded.codec, encoded.params, len(encoded.payload)) == (FILL, np.float32(1.5).tobytes(), 0)


def test_noise_is_raw_and_not_copied() -> None:
    noise = view(np.random.default_rng(0).integers(0, 256, 4096, np.uint8))
    encoded = round_trip(noise, "uint8")
    assert encoded.codec == RAW
    assert encoded.payload is noise


def test_the_rounding_of_a_master_goes_before_a_delta() -> None:
    w = weights()
    before = previous("bfloat16", as_bfloat16(stepped(w)))
    master = Reference(ROLE_MASTER, "float32", view(w))
    assert encode(view(as_bfloat16(w)), "bfloat16", [before, master]).codec == ROUND


def test_a_previous_chunk_of_another_dtype_or_length_is_a_mistake_of_the_caller() -> None:
    w = weights(1000)
    for reference in (previous("float64", w), previous("float32", w[:-1])):
        with pytest.raises(UsageError):
            encode(view(w), "float32", [reference])


def test_a_tail_that_is_no_whole_element_is_kept() -> None:
    data = bytes(view(weights(1000))) + b"xyz"
    round_trip(view(data), "float32", [previous("float32", data[::-1])])


def test_what_is_written_is_only_the_chunk() -> None:
    w = weights(1000)
    encoded = encode(view(w), "float32")
    room = bytearray(b"\xaa" * 4200)
    decode_into(encoded.codec, encoded.params, memoryview(encoded.payload), [], memoryview(room)[100:4100])
    assert room[100:4100] == bytes(view(w))
    assert room[:100] == room[4100:] == b"\xaa" * 100


def test_an_unknown_codec_is_unsupported() -> None:
    for codec in (7, 255):
        with pytest.raises(UnsupportedError):
            decode_into(codec, b"", memoryview(b""), [], memoryview(bytearray(4)))


def _all_codecs() -> list[tuple[Encoded, list[Reference], bytes]]:
    w = weights(1000)
    low = (w.view(np.uint32) ^ np.random.default_rng(0).integers(0, 256, 1000, np.uint32)).view(np.float32)
    near, rounded = stepped(w), as_bfloat16(w)
    cases: list[tuple[memoryview, str, list[Reference]]] = [
        (view(np.random.default_rng(0).integers(0, 256, 4000, np.uint8)), "uint8", []),
        (view(np.ones(1000, np.float32)), "float32", []),
        (view(w), "float32", []),
        (view(near), "float32", [previous("float32", w)]),
        (view(low), "float32", [previous("float32", w)]),
        (view(rounded), "bfloat16", [Reference(ROLE_MASTER, "float32", view(w))]),
    ]
    made = [(encode(raw, dtype, references), references, bytes(raw)) for raw, dtype, references in cases]
    before, now = adam(21, (20, 21))
    known = of_weight(before, now)
    trained = encode(flat(now.w), "float32", known, Hints(WEIGHT, update=update(1, 21)))
    return [*made, (trained, known, bytes(flat(now.w)))]


ALL = _all_codecs()


def test_every_codec_is_made_by_some_chunk() -> None:
    assert {encoded.codec for encoded, _, _ in ALL} == set(CODEC_NAMES)


@pytest.mark.parametrize(("encoded", "references", "raw"), ALL, ids=[CODEC_NAMES[e.codec] for e, _, _ in ALL])
def test_bases_that_are_missing_too_many_or_of_a_wrong_length_are_refused(
    encoded: Encoded, references: list[Reference], raw: bytes
) -> None:
    good = [references[i].data for i in encoded.used]
    bad = [[*good, memoryview(raw)]]
    if good:
        bad += [[], [good[0][:-4]], [memoryview(bytes(good[0]) + b"1234")], [memoryview(b"")]]
    for bases in bad:
        with pytest.raises(FormatError):
            decode_into(
                encoded.codec, encoded.params, memoryview(encoded.payload), bases, memoryview(bytearray(len(raw)))
            )


@pytest.mark.parametrize(("encoded", "references", "raw"), ALL, ids=[CODEC_NAMES[e.codec] for e, _, _ in ALL])
def test_payloads_and_parameters_cut_or_extended_are_refused(
    encoded: Encoded, references: list[Reference], raw: bytes
) -> None:
    bases = [references[i].data for i in encoded.used]
    payload, out = bytes(encoded.payload), memoryview(bytearray(len(raw)))
    wrong = [payload[:n] for n in range(0, len(payload), max(1, len(payload) // 50))] + [payload + b"\0"]
    for bad in wrong if payload else [b"\0"]:
        with pytest.raises(FormatError):
            decode_into(encoded.codec, encoded.params, memoryview(bad), bases, out)
    longer = encoded.params * 5 if encoded.codec == FILL else encoded.params + b"\0"
    with pytest.raises(FormatError):
        decode_into(encoded.codec, longer, memoryview(payload), bases, out)


def test_threads_do_not_disturb_each_other() -> None:
    work = [(encoded, references, raw) for encoded, references, raw in ALL for _ in range(20)]
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda item: decoded(item[0], item[1], len(item[2])) == item[2], work)
        assert all(results)


def test_a_chunk_of_another_size_than_the_last_gets_no_old_bytes() -> None:
    for n in (20_000, 10, 5000, 1, 20_001):
        round_trip(view(weights(n)), "float32")
        round_trip(view(stepped(weights(n))), "float32", [previous("float32", weights(n))])


def test_planes_are_the_codec_of_a_lone_weight_matrix() -> None:
    assert encode(view(weights()), "float32").codec == PLANES
