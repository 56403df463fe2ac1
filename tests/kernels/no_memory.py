"""Run as a script: every kernel, and the codec over them, with each allocation refused in turn, once and for good.

The kernels allocate nothing (tests/house/test_native.py); their bindings and what prepares their buffers do.
"""

from __future__ import annotations

import _testcapi
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ckstore._native import kernels
from ckstore.codec.chunk import Reference, decode_into, encode
from ckstore.format import frame
from ckstore.format.frame import ROLE_PREVIOUS, Frame

GOLDEN = Path(__file__).parents[1] / "golden" / "v1" / "codec"
CALM = 40
"""After so many calls in a row in which nothing was refused, there is nothing left to refuse."""

rng = np.random.default_rng(0)
ONE = np.cumsum(rng.normal(size=600)).astype("f4").view(np.uint8)
TWO = (ONE.view("f4") * np.float32(1.001)).view(np.uint8)


def _room(n: int = 4 * 2400) -> Any:
    return np.zeros(n, np.uint8)


def _huffman() -> bytes:
    coded, back, work = _room(), _room(2400), _room(kernels.HUFFMAN_WORK)
    used = kernels.huffman_encode(ONE, coded, work)
    assert kernels.huffman_decode(coded[:used], back, work)
    return back.tobytes()


def _palette() -> bytes:
    coded, back = _room(2400), _room(2400)
    used = kernels.palette_encode(ONE & 7, coded)
    assert kernels.palette_decode(coded[:used], back)
    return back.tobytes()


def _gaps() -> bytes:
    gaps, values, back = _room(9600), _room(2400), _room(2400)
    count = kernels.gap_split(ONE, 0, gaps, values)
    assert kernels.gap_merge(gaps[: 4 * count], values[:count], 0, back)
    return back.tobytes()


def _delta() -> bytes:
    symbols, bits, back = _room(600), _room(2400 + kernels.BITS_SLACK), _room(2400)
    used = kernels.delta_split(ONE, TWO, 4, True, symbols, bits)
    assert kernels.delta_merge(symbols, bits[:used], TWO, 4, True, back)
    return back.tobytes()


def _recentred() -> bytes:
    symbols, bits, back = _room(600), _room(2400 + kernels.BITS_SLACK), _room(2400)
    origin, _ = kernels.delta_origin(ONE, TWO, 4, 23, np.zeros(601, np.uint32), _room(kernels.ORIGIN_WORK))
    used = kernels.delta_split(ONE, TWO, 4, True, symbols, bits, origin, 23)
    assert kernels.delta_merge(symbols, bits[:used], TWO, 4, True, back, origin, 23)
    return back.tobytes()


def _predict() -> bytes:
    out = _room(1200)
    kernels.predict(kernels.PREDICT_ADAM, [ONE, TWO, ONE, TWO], [0] * 4, [1.0, 0.5, 0.5, 1.0, 1e-8], True, 1, out)
    return out.tobytes()


def _scaled() -> bytes:
    out, back, rows, columns = _room(2400), _room(2400), np.zeros(9, np.int64), np.zeros(71, np.int64)
    kernels.word_sums(ONE, TWO, 4, 65536, 71, 20, rows, columns)
    kernels.scaled(
        ONE, 4, 65536, 3, 0, 71, 20, rows.view(np.int8)[::8].copy(), columns.view(np.int8)[::8].copy(), True, out
    )
    kernels.turn(out, 4, False, back)
    return back.tobytes()


def _planes() -> bytes:
    planes, back = _room(2400), _room(2400)
    kernels.split(ONE, 4, True, planes, TWO)
    kernels.merge(list(planes.reshape(4, -1)), True, back, TWO)
    return back.tobytes()


def _sparse() -> bytes:
    bitmap, values, back = _room(75), _room(2400), _room(2400)
    count = kernels.sparse_split(ONE, 4, 0, bitmap, values)
    assert kernels.sparse_merge(bitmap, values[: 4 * count], 4, 0, back)
    return back.tobytes()


def _scan() -> bytes:
    rounded, counts = _room(1200), np.zeros((4, 256), np.uint32)
    kernels.round_floats(ONE, 0, rounded)
    kernels.histogram(ONE, 4, counts)
    kernels.profile(ONE, 4, np.arange(601, dtype=np.uint32), counts[:, : kernels.PROFILE].copy())
    assert not kernels.is_constant(ONE, 4)
    assert not kernels.equal(ONE, TWO)
    return rounded.tobytes() + counts.tobytes()


def _codec(with_base: bool) -> Callable[[], bytes]:
    references = [Reference(ROLE_PREVIOUS, "float32", TWO.data)] if with_base else []

    def work() -> bytes:
        made, out = encode(ONE.data, "float32", references), bytearray(2400)
        decode_into(made.codec, made.params, memoryview(made.payload), [TWO.data] * len(made.used), memoryview(out))
        return bytes(out)

    return work


def _golden(case: Path) -> Callable[[], bytes]:
    about, raw = json.loads((case / "case.json").read_text()), (case / "raw.bin").read_bytes()
    payload = memoryview((case / "payload.bin").read_bytes())
    bases = [memoryview((case / f"base{i}.bin").read_bytes()) for i in range(about["n_bases"])]

    def work() -> bytes:
        out = bytearray(len(raw))
        decode_into(about["codec"], bytes.fromhex(about["params"]), payload, bases, memoryview(out))
        return bytes(out)

    return work


def _frame() -> bytes:
    item = Frame(0, bytes(32), 4, (), b"", b"data")
    found = frame.parse(memoryview(frame.pack_front(item) + b"data"), "frame")
    return bytes(found.payload)


WORK: dict[str, Callable[[], bytes]] = {
    "huffman": _huffman, "palette": _palette, "gaps": _gaps, "delta": _delta, "recentred": _recentred,
    "predict": _predict, "scaled": _scaled, "planes": _planes, "sparse": _sparse, "scan": _scan, "frame": _frame,
    "chunk": _codec(False), "chunk with a base": _codec(True),
    **{case.name: _golden(case) for case in sorted(GOLDEN.iterdir()) if (case / "case.json").exists()},
}  # fmt: skip


def refused(work: Callable[[], bytes], start: int, stop: int) -> bool:
    """Whether a refused allocation stopped the work; if not, what it gave is right."""
    _testcapi.set_nomemory(start, stop)
    try:
        found = work()
    except MemoryError:
        return True
    except SystemError:  # what NumPy and ctypes make of it in some places
        return True
    finally:
        _testcapi.remove_mem_hooks()
    assert found == work()
    return False


def sweep(work: Callable[[], bytes], forever: bool) -> int:
    """Refuse each allocation in turn; how many refusals stopped the work. It must be able to go on after each."""
    expected, n, n_refused, calm = work(), 0, 0, 0
    while calm < CALM:
        if refused(work, n, 0 if forever else n + 1):
            n_refused, calm = n_refused + 1, 0
        else:
            calm += 1
        assert work() == expected, f"after allocation {n} was refused"
        n += 1
    return n_refused


if __name__ == "__main__":
    for variant in kernels.variants():
        kernels.select(variant)
        for name, job in WORK.items():
            found = [sweep(job, forever) for forever in (False, True)]
            print(variant, name, *found)
            if not all(found):
                sys.exit(f"{name}: nothing was refused")
