"""A stored chunk once more, harder: by the plan it has or by a better one, with no base that it does not have."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ckstore.codec import again, predict
from ckstore.codec.again import Stored
from ckstore.codec.chunk import Encoded, Reference, encode
from ckstore.codec.hints import NO_HINTS, VARIANCE, WEIGHT, Hints
from ckstore.codec.levels import Level
from ckstore.errors import FormatError
from ckstore.format.frame import DELTA_INT, FILL, PLANES, PREDICTED, RAW, ROLE_MASTER
from codec_material import as_bfloat16, decoded, previous, stepped, view, weights
from codec_training import adam, flat, of_weight, update
from tests.house.files import ROOT


def stored(form: Encoded, references: list[Reference]) -> Stored:
    """The form as a gc finds it."""
    used = [references[at] for at in form.used]
    payload = memoryview(bytes(form.payload))
    return Stored(form.codec, form.params, payload, [one.data for one in used], [one.role for one in used])


def once_more(
    raw: memoryview, dtype: str | None, form: Encoded, references: list[Reference], hints: Hints = NO_HINTS
) -> Encoded:
    """The new form, which decodes to the chunk."""
    new = again.encode(raw, dtype, stored(form, references), hints)
    assert new is not None
    used = [references[at] for at in form.used]
    assert decoded(new, used, len(raw)) == bytes(raw)
    return new


def size(form: Encoded) -> int:
    return len(form.params) + len(form.payload)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_a_fast_save_left_out_is_made_up_for(dtype: str) -> None:
    w, raw = weights(), view(weights() if dtype == "float32" else as_bfloat16(weights()))
    form = encode(raw, dtype, level=Level.FAST)
    assert size(once_more(raw, dtype, form, [])) < 0.97 * size(form)
    assert size(once_more(raw, None, form, [])) < 0.97 * size(form)
    near = stepped(w) if dtype == "float32" else as_bfloat16(stepped(w))
    references = [previous(dtype, raw)]
    form = encode(view(near), dtype, references, level=Level.FAST)
    assert form.codec == DELTA_INT
    assert size(once_more(view(near), dtype, form, references)) < 0.99 * size(form)


def test_a_prediction_keeps_its_formula_and_its_numbers() -> None:
    before, now = adam(12, (11, 12))
    references, raw = of_weight(before, now), flat(now.w)
    form = encode(raw, "float32", references, Hints(WEIGHT, update=update(1, 12)))
    assert form.codec == PREDICTED
    new = once_more(raw, "float32", form, references, Hints(WEIGHT))
    assert (new.codec, predict.parse_params(new.params)) == (PREDICTED, predict.parse_params(form.params))
    assert size(new) <= 1.01 * size(form)


def test_recentred_predictions_are_read_with_their_origin() -> None:
    before, now = adam(20, (10, 20))
    references, raw = of_weight(before, now), flat(now.w)
    form = encode(raw, "float32", references, Hints(WEIGHT, update=update(10, 20)))
    assert (form.codec, predict.parse_params(form.params)[1]) == (PREDICTED, True)
    new = once_more(raw, None, form, references)
    assert (new.params, bytes(new.payload[:3])) == (form.params, bytes(form.payload[:3]))
    assert size(new) <= size(form)


def test_a_scale_is_found_with_hints_and_kept_without() -> None:
    rng = np.random.default_rng(0)
    scales = np.outer(np.exp(3 * rng.normal(size=256)), np.exp(3 * rng.normal(size=256)))
    raw = flat((scales * np.square(rng.normal(size=(256, 256)))).astype("f4"))
    fast = encode(raw, "float32", level=Level.FAST)
    hints = Hints(VARIANCE, columns=256)
    at_scale = once_more(raw, "float32", fast, [], hints)
    assert size(at_scale) < 0.97 * size(once_more(raw, "float32", fast, []))
    assert once_more(raw, None, at_scale, []).params == at_scale.params


def test_noise_and_text_that_lie_raw() -> None:
    text = view(b"some words, again and again; " * 400)
    assert once_more(text, "uint8", Encoded(RAW, b"", text, ()), []).codec == PLANES
    noise = view(np.random.default_rng(0).bytes(5000))
    assert once_more(noise, "uint8", Encoded(RAW, b"", noise, ()), []).codec == RAW
    assert again.encode(noise, None, Stored(RAW, b"", noise, [], [])) is None


def test_what_takes_a_few_bytes_is_left_alone() -> None:
    zeros = view(bytes(4000))
    assert encode(zeros, "float32").codec == FILL
    assert again.encode(zeros, "float32", stored(encode(zeros, "float32"), [])) is None
    w = weights()
    references = [Reference(ROLE_MASTER, "float32", view(w))]
    form = encode(view(as_bfloat16(w)), "bfloat16", references)
    assert again.encode(view(as_bfloat16(w)), "bfloat16", stored(form, references)) is None
    assert again.encode(view(b""), "float32", Stored(RAW, b"", view(b""), [], [])) is None


def test_planes_with_factors_are_not_made_again() -> None:
    case = ROOT / "tests" / "golden" / "v1" / "codec" / "factors-float32"
    params = bytes.fromhex(json.loads((case / "case.json").read_text(encoding="utf-8"))["params"])
    raw, payload = (view((case / name).read_bytes()) for name in ("raw.bin", "payload.bin"))
    assert again.encode(raw, None, Stored(PLANES, params, payload, [], [])) is None
    assert once_more(raw, "float32", Encoded(PLANES, params, payload, ()), []).codec == PLANES


@pytest.mark.parametrize("codec", [PLANES, DELTA_INT, PREDICTED])
def test_malformed_parameters_are_refused(codec: int) -> None:
    raw = view(weights())
    with pytest.raises(FormatError):
        again.encode(raw, "float32", Stored(codec, b"", raw, [raw], [1]))
