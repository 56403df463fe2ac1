"""Levels: what each may spend, that all read each other, and that unknown ones are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ckstore.codec import choose, levels
from ckstore.codec.chunk import encode
from ckstore.codec.levels import Level
from ckstore.errors import UsageError
from codec_material import as_bfloat16, decoded, previous, stepped, view, weights

RNG = np.random.default_rng(5)
MATERIAL = {
    "bfloat16": as_bfloat16(weights()), "float32": weights(), "int64": RNG.integers(0, 3000, 4000),
    "uint8": RNG.bytes(99), "bool": RNG.random(9000) < 0.01,
    "bytes:1": b"weights and moments and again weights; " * 200,
}  # fmt: skip


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("dtype", MATERIAL)
def test_what_any_level_wrote_is_read(level: Level, dtype: str) -> None:
    raw = view(MATERIAL[dtype])
    before = previous(dtype, bytes(raw)[::-1])
    for references in ([], [before]):
        made = encode(raw, dtype, references, level=level)
        assert decoded(made, references, len(raw)) == bytes(raw)


def test_the_fast_level_gives_half_a_byte_to_an_exponent() -> None:
    raw = view(as_bfloat16(weights(1 << 17)))
    sizes = {level: len(encode(raw, "bfloat16", level=level).payload) for level in Level}
    assert 1.3 < len(raw) / sizes[Level.FAST] < 4 / 3
    assert sizes[Level.ARCHIVE] <= sizes[Level.BALANCED] < sizes[Level.FAST]


def test_the_fast_level_takes_a_base_where_it_is_worth_much() -> None:
    w = weights()
    made = encode(view(w), "float32", [previous("float32", stepped(w, 1e-5))], level=Level.FAST)
    assert made.used == (0,)
    assert len(made.payload) < 0.7 * w.nbytes


def test_the_fast_level_codes_a_chunk_once(monkeypatch: pytest.MonkeyPatch) -> None:
    coded, honest = [], choose.encode
    monkeypatch.setattr(choose, "encode", lambda *given: coded.append(given) or honest(*given))
    for dtype, data in MATERIAL.items():
        del coded[:]
        encode(view(data), dtype, [previous(dtype, bytes(view(data))[::-1])], level=Level.FAST)
        assert len(coded) == 1, dtype


def test_the_archive_level_is_never_larger() -> None:
    for dtype, data in MATERIAL.items():
        sizes = [len(encode(view(data), dtype, level=level).payload) for level in (Level.BALANCED, Level.ARCHIVE)]
        assert sizes[1] <= sizes[0] * 1.001 + 8, dtype


def test_a_level_has_a_name_and_nothing_else_is_one() -> None:
    assert [levels.parse(name) for name in ("fast", "balanced", "archive")] == list(Level)
    assert levels.parse(Level.FAST) is Level.FAST
    wrongs: list[Any] = ["", "FAST", "best", 3, None, ["fast"]]
    for wrong in wrongs:
        with pytest.raises(UsageError, match="fast, balanced, archive"):
            levels.parse(wrong)
