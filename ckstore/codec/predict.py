"""A chunk ⇄ its differences to a prediction that is computed from several bases.

    PARAMETERS  predictor (u8: 1 linear, 2 adam, 3 second), dtype of the chunk (u8), flags (u8: 1 = masked), number of
                bases (u8), dtype of each base (u8), the predictor's coefficients (f32 each), parameters of delta_int
    PAYLOAD     as delta_int, whose base is the prediction
    DTYPES      0 float32, 1 bfloat16, 2 float16

    1 linear  b0 … (1-4); c0 …, one a base    p = c0·b0, then p = p + ci·bi in order
    2 adam    w0, m1, v1 and perhaps m0;      q = step1·m1, with m0 then q = q + step0·m0; r = sqrt(v1)/root + eps;
              decay, step1, step0, root, eps  p = decay·w0 + q/r
    3 second  v0, m1, m0; beta, gain, inner   g = (m1 - m0)/inner + m0; p = beta·v0 + gain·(g·g)

Bases are taken as binary32, which all their dtypes are exact in; every operation is one of IEEE binary32, rounded to
nearest even by itself, with subnormals; p is then rounded to the dtype of the chunk, any NaN to the quiet one without
sign and payload. Masked (needs m0): where m1 and m0 have the same bits, p is the first base: a row without a gradient
rests. 0 = after, 1 = before one more or several steps of the optimiser: one step apart and with its hyper-parameters
adam (Kingma and Ba 2015; Loshchilov and Hutter 2019) repeats what it did up to rounding, several apart it extrapolates
with fitted coefficients. linear is SGD with momentum, an average of weights, or a decay.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ckstore._native import kernels
from ckstore.codec import delta, scratch
from ckstore.codec.delta import Center
from ckstore.codec.entropy import Stats
from ckstore.codec.kinds import Kind
from ckstore.codec.levels import Level
from ckstore.codec.scratch import Bytes
from ckstore.errors import FormatError, UnsupportedError

LINEAR, ADAM, SECOND = 1, 2, 3
DTYPES = {"float32": 0, "bfloat16": 1, "float16": 2}
WIDTHS = (4, 2, 2)
"""Bytes of an element of each dtype."""
_MASKED = 1
_HEAD = struct.Struct("<BBBB")
_N_BASES = {LINEAR: range(1, 5), ADAM: range(3, 5), SECOND: range(3, 4)}


@dataclass(frozen=True, slots=True)
class Predictor:
    """A formula with its numbers; the bases come with the frame."""

    formula: int
    """LINEAR, ADAM or SECOND."""
    dtype: int
    """Of the chunk."""
    base_dtypes: tuple[int, ...]
    coefficients: tuple[float, ...]
    """Each a number of binary32."""
    masked: bool = False

    @property
    def kind(self) -> Kind:
        """How delta_int looks at chunk and prediction."""
        return Kind(WIDTHS[self.dtype], True)

    def run(self, bases: Sequence[Bytes], n: int, room: str = "prediction") -> Bytes:
        """The prediction of n elements, in this thread's buffer `room`. The bases must fit."""
        out = scratch.buffer(room, n * WIDTHS[self.dtype])
        kernels.predict(self.formula, bases, self.base_dtypes, self.coefficients, self.masked, self.dtype, out)
        return out


def pack_params(predictor: Predictor, recentred: bool) -> bytes:
    """The codec parameters."""
    dtypes, flags = predictor.base_dtypes, _MASKED if predictor.masked else 0
    head = _HEAD.pack(predictor.formula, predictor.dtype, flags, len(dtypes)) + bytes(dtypes)
    numbers = struct.pack(f"<{len(predictor.coefficients)}f", *predictor.coefficients)
    return head + numbers + delta.pack_params(predictor.kind, recentred)


def parse_params(params: bytes) -> tuple[Predictor, bool]:
    """The inverse of pack_params. Raises FormatError or UnsupportedError."""
    if len(params) < _HEAD.size:
        raise FormatError("codec parameters are cut short")
    formula, dtype, flags, n_bases = _HEAD.unpack_from(params)
    dtypes = tuple(params[_HEAD.size : _HEAD.size + n_bases])
    if formula not in _N_BASES or flags & ~_MASKED or max((dtype, *dtypes)) >= len(WIDTHS):
        raise UnsupportedError("a prediction this version does not know: written by a newer ckstore")
    masked, n_numbers, start = bool(flags & _MASKED), _n_coefficients(formula, n_bases), _HEAD.size + n_bases
    end = start + 4 * n_numbers
    if n_bases not in _N_BASES[formula] or (masked and not _has_before(formula, n_bases)):
        raise FormatError("a prediction with bases that it does not take")
    if len(params) != end + delta.PARAMS_BYTES:
        raise FormatError("codec parameters of a wrong length")
    predictor = Predictor(formula, dtype, dtypes, struct.unpack_from(f"<{n_numbers}f", params, start), masked)
    kind, recentred = delta.parse_params(params[end:])
    if kind != predictor.kind:
        raise FormatError("differences of another width than the prediction")
    return predictor, recentred


def _n_coefficients(formula: int, n_bases: int) -> int:
    return {LINEAR: n_bases, ADAM: 5, SECOND: 3}[formula]


def _has_before(formula: int, n_bases: int) -> bool:
    """Whether the moment before is among the bases."""
    return formula == SECOND or (formula == ADAM and n_bases == 4)


def encode(
    raw: Bytes, bases: Sequence[Bytes], predictor: Predictor, stats: Stats, center: Center | None,
    level: Level = Level.BALANCED,
) -> Bytes:  # fmt: skip
    """The payload of `raw`; stats: what a sample says of the symbols."""
    under = predictor.run(bases, len(raw) // predictor.kind.width)
    return delta.encode(raw, under, predictor.kind, stats, False, center, level)


def decode(params: bytes, payload: Bytes, bases: Sequence[Bytes], out: Bytes) -> None:
    """Fill `out`. Raises FormatError for bases or a payload that do not fit, UnsupportedError."""
    predictor, recentred = parse_params(params)
    n, rest = divmod(len(out), predictor.kind.width)
    sizes = [n * WIDTHS[dtype] for dtype in predictor.base_dtypes]
    if rest or [len(base) for base in bases] != sizes:
        raise FormatError("bases that do not fit the chunk")
    delta.decode(predictor.kind, payload, predictor.run(bases, n), out, recentred)
