"""Frames written by version 1 decode for ever. They bind decoding only: what is written may change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ckstore.codec.chunk import decode_into
from ckstore.format.frame import CODEC_NAMES

HERE = Path(__file__).parent
CASES = (
    "raw", "empty", "fill-1", "fill-4", "fill-16", "planes-float32", "planes-bfloat16", "planes-float64",
    "planes-int64", "planes-bytes", "planes-constant", "planes-raw", "planes-zstd", "planes-sparse",
    "planes-one-hole", "planes-two-holes", "delta-float16", "delta-float32", "delta-float64", "delta-special",
    "delta-int8", "delta-float8", "delta-int16", "delta-int32", "delta-int64", "xor-low-byte", "round-bfloat16",
    "round-float16", "round-float32", "planes-huffman", "planes-two-blocks", "delta-huffman", "recentred-float32",
    "recentred-bfloat16", "recentred-float16", "recentred-float64", "factors-float32", "factors-bfloat16",
    "linear-scaled", "linear-bfloat16", "linear-four", "adam-step", "adam-steps", "adam-masked", "second",
    "second-masked", "planes-palette", "planes-gaps", "scale-alone", "scale-bfloat16", "scale-linear", "scale-second",
    "scale-below",
)  # fmt: skip
"""Append-only."""


@pytest.mark.parametrize("name", CASES)
def test_a_frame_of_version_1_decodes_to_its_chunk(kernel_variant: str, name: str) -> None:
    about = json.loads((HERE / name / "case.json").read_text(encoding="utf-8"))
    raw = (HERE / name / "raw.bin").read_bytes()
    payload = (HERE / name / "payload.bin").read_bytes()
    bases = [memoryview((HERE / name / f"base{i}.bin").read_bytes()) for i in range(about["n_bases"])]
    out = bytearray(b"\xaa" * len(raw))
    decode_into(about["codec"], bytes.fromhex(about["params"]), memoryview(payload), bases, memoryview(out))
    assert out == raw


def test_no_case_is_missing_or_unknown() -> None:
    assert sorted(path.name for path in HERE.iterdir() if path.is_dir() and path.name != "__pycache__") == sorted(CASES)


def test_every_codec_has_a_case() -> None:
    made = {json.loads((HERE / name / "case.json").read_text(encoding="utf-8"))["codec"] for name in CASES}
    assert made == set(CODEC_NAMES)
