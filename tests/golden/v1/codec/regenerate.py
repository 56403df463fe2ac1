"""Adds golden frames that are not there yet; never changes one that is. Run from the repository root:

    python tests/golden/v1/codec/regenerate.py

A case is a folder: case.json (what it shows, codec, parameters in hex, number of bases), raw.bin (the chunk),
payload.bin, base0.bin and so on. Frames of a released version decode for ever, so a case is never removed or rewritten.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import predictions

from ckstore.codec import delta, entropy, planes
from ckstore.codec.chunk import Reference, encode
from ckstore.codec.entropy import Stats
from ckstore.codec.kinds import Kind
from ckstore.codec.levels import Level
from ckstore.codec.planes import Shape
from ckstore.format.frame import DELTA_INT, PLANES, ROLE_MASTER, ROLE_PREVIOUS

HERE = Path(__file__).parent
Raw = bytes | npt.NDArray[np.generic]


class Case(NamedTuple):
    """One frame."""

    shows: str
    codec: int
    params: bytes
    payload: bytes
    raw: bytes
    bases: tuple[bytes, ...] = ()


def _numbers(dtype: str, n: int = 192, seed: int = 0) -> npt.NDArray[np.generic]:
    return (np.random.default_rng(seed).standard_normal(n) * 0.05).astype(dtype)


def _chosen(shows: str, chunk: Raw, dtype: str, *references: tuple[int, str, bytes]) -> Case:
    """A frame as the encoder makes it."""
    raw = chunk if isinstance(chunk, bytes) else chunk.tobytes()
    known = [Reference(role, name, memoryview(data)) for role, name, data in references]
    made = encode(memoryview(raw), dtype, known)
    bases = tuple(bytes(known[i].data) for i in made.used)
    return Case(shows, made.codec, made.params, bytes(made.payload), raw, bases)


def _planes(shows: str, chunk: Raw, shape: Shape, stats: Stats, level: Level = Level.BALANCED) -> Case:
    raw = chunk if isinstance(chunk, bytes) else chunk.tobytes()
    payload = planes.encode(np.frombuffer(raw, np.uint8), None, shape, [stats] * shape.width, False, level)
    return Case(shows, PLANES, planes.pack_params(shape), payload.tobytes(), raw)


def _bell() -> npt.NDArray[np.generic]:
    values = np.random.default_rng(9).binomial(40, 0.5, 40_000).astype("u1")
    values[32_768:] = 5
    return values


def _rare() -> npt.NDArray[np.generic]:
    rng = np.random.default_rng(10)
    return np.where(rng.random(3000) < 0.03, rng.integers(0, 1 << 16, 3000), 0).astype("<u2")


def _delta(shows: str, dtype: str, step: float, n: int = 192) -> Case:
    before = _numbers(dtype, n, seed=1)
    after = (before + _numbers(dtype, n, seed=2) * np.dtype(dtype).type(step)).astype(dtype)
    return _integer_delta(shows, after.tobytes(), before.tobytes(), Kind(before.itemsize, True))


def _integer_delta(shows: str, raw: bytes, base: bytes, kind: Kind) -> Case:
    rows = np.frombuffer(raw, np.uint8), np.frombuffer(base, np.uint8)
    payload = delta.encode(*rows, kind, entropy.UNKNOWN, False)
    return Case(shows, DELTA_INT, delta.pack_params(kind), payload.tobytes(), raw, (base,))


def _pruned() -> bytes:
    values = _numbers("<f4", 400, seed=3)
    draw = np.random.default_rng(4).random(400)
    return np.where(draw < 0.4, np.float32(0), np.where(draw < 0.7, np.float32(-0.0), values)).tobytes()


def _low_byte() -> Case:
    base = _numbers("<f4", seed=5)
    noise = np.random.default_rng(6).integers(0, 256, 192, np.uint32)
    raw = (base.view("<u4") ^ noise).tobytes()
    return _chosen("only the lowest byte changed", raw, "float32", (ROLE_PREVIOUS, "float32", base.tobytes()))


def _counts(dtype: str) -> tuple[bytes, bytes]:
    rng = np.random.default_rng(7)
    base = rng.integers(0, np.iinfo(dtype).max // 2, 192).astype(dtype)
    step = (np.int64(1) << rng.integers(0, np.iinfo(dtype).bits - 2, 192)) * rng.choice([-1, 1], 192)
    return (base + step.astype(dtype)).astype(dtype).tobytes(), base.tobytes()


def _special() -> bytes:
    return np.array([0, 1, 0x7F800000, 0x7F800001, 0xFF800000, 0xFFFFFFFF, 0x80000000, 0x007FFFFF], "<u4").tobytes()


NOISE, SKEWED, FREQUENT = Stats(8.0, 0, 0.0), Stats(3.0, 0, 0.0), Stats(0.5, 0, 0.9)
WORDS = b"weights and moments and weights again; " * 20

MAKERS: dict[str, Callable[[], Case]] = {
    "raw": lambda: _chosen("noise stored as it is", np.random.default_rng(8).bytes(100), "uint8"),
    "empty": lambda: _chosen("an empty chunk", b"", "float32"),
    "fill-1": lambda: _chosen("one byte repeated", b"\1" * 77, "bool"),
    "fill-4": lambda: _chosen("one float32 repeated", np.full(4100, 1.5, "<f4"), "float32"),
    "fill-16": lambda: _chosen("one complex128 repeated", bytes(range(16)) * 3, "complex128"),
    "planes-float32": lambda: _chosen("float32 as chosen", _numbers("<f4", 512), "float32"),
    "planes-bfloat16": lambda: _chosen("bfloat16 as chosen", _numbers("<f4", 512).view("<u2")[1::2], "bfloat16"),
    "planes-float64": lambda: _chosen("float64 as chosen", _numbers("<f8", 256), "float64"),
    "planes-int64": lambda: _chosen("int64, not rotated", np.arange(300, dtype="<i8"), "int64"),
    "planes-bytes": lambda: _chosen("opaque bytes with matches", WORDS, "bytes:13"),
    "planes-constant": lambda: _planes("a constant plane", np.arange(64, dtype="<u2"), Shape(2, False), SKEWED),
    "planes-raw": lambda: _planes("all planes raw", _numbers("<f4", 33), Shape(4, True), NOISE),
    "planes-zstd": lambda: _planes("zstd planes", _numbers("<f4", 400), Shape(4, True), SKEWED),
    "planes-huffman": lambda: _planes("Huffman planes", _numbers("<f4", 400), Shape(4, True), SKEWED),
    "planes-two-blocks": lambda: _planes("Huffman blocks, one constant", _bell(), Shape(1, False), SKEWED),
    "delta-huffman": lambda: _delta("differences in Huffman blocks", "<f4", 0.01, 1024),
    "planes-sparse": lambda: _planes("sparse planes", _pruned(), Shape(4, False), Stats(0.5, 0, 0.6)),
    "planes-palette": lambda: _planes("palette planes", _numbers("<f4", 401), Shape(4, True), SKEWED, Level.FAST),
    "planes-gaps": lambda: _planes("planes as gaps", _rare(), Shape(2, False), FREQUENT),
    "planes-one-hole": lambda: _planes("zeros left out", _pruned(), Shape(4, True, (0,)), NOISE),
    "planes-two-holes": lambda: _planes("both zeros left out", _pruned(), Shape(4, True, (0, 1 << 31)), NOISE),
    "delta-float16": lambda: _delta("float16 differences", "<f2", 0.01),
    "delta-float32": lambda: _delta("float32 differences", "<f4", 0.001),
    "delta-float64": lambda: _delta("float64 differences", "<f8", 0.001),
    "delta-special": lambda: _integer_delta("zeros, infinities, NaN", _special(), _special()[::-1], Kind(4, True)),
    "delta-int8": lambda: _integer_delta("8-bit differences", *_counts("<i1"), Kind(1, False)),
    "delta-float8": lambda: _integer_delta("8-bit float differences", *_counts("<i1"), Kind(1, True)),
    "delta-int16": lambda: _integer_delta("16-bit differences", *_counts("<i2"), Kind(2, False)),
    "delta-int32": lambda: _integer_delta("32-bit differences", *_counts("<i4"), Kind(4, False)),
    "delta-int64": lambda: _integer_delta("64-bit differences", *_counts("<i8"), Kind(8, False)),
    "xor-low-byte": _low_byte,
    "round-bfloat16": lambda: _round("bfloat16", "float32"),
    "round-float16": lambda: _round("float16", "float32"),
    "round-float32": lambda: _round("float32", "float64"),
}  # fmt: skip


def _round(narrow: str, wide: str) -> Case:
    """Rounding by the definition, not by the kernel: the truth of these cases must not come from what they test."""
    master = np.concatenate([_numbers("<f8", 96), [0.0, -0.0, np.inf, -np.inf, 1e-40, 65519.99, 1.00390625]]).astype(
        wide
    )
    if narrow == "bfloat16":
        bits = [int(x) for x in master.view("<u4")]
        raw = np.array([(x + 0x7FFF + (x >> 16 & 1)) >> 16 for x in bits], "<u2").tobytes()
    else:
        with np.errstate(over="ignore"):
            raw = master.astype(narrow).tobytes()
    return _chosen(f"{wide} rounded to {narrow}", raw, narrow, (ROLE_MASTER, wide, master.tobytes()))


def _imported(make: Callable[[], predictions.Made]) -> Callable[[], Case]:
    return lambda: Case(*make())


MAKERS |= {name: _imported(make) for name, make in predictions.MAKERS.items()}


def write(folder: Path, case: Case) -> None:
    """One case as files."""
    folder.mkdir()
    about = {"shows": case.shows, "codec": case.codec, "params": case.params.hex(), "n_bases": len(case.bases)}
    (folder / "case.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    files = {"raw.bin": case.raw, "payload.bin": case.payload}
    files |= {f"base{i}.bin": base for i, base in enumerate(case.bases)}
    for name, data in files.items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    for name, make in MAKERS.items():
        if not (HERE / name).exists():
            write(HERE / name, make())
            print(f"added {name}")
