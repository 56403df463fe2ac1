"""A chunk ⇄ its differences to a prediction that is computed from several bases.

    PARAMETERS  predictor (u8: 0 none, 1 linear, 2 adam, 3 second), dtype of the chunk (u8), flags (u8: 1 = masked, 2 =
                scaled, 4 = turned), number of bases (u8), dtype of each base (u8), the predictor's coefficients (f32
                each), if scaled the numbers of the scale (scale.py), parameters of delta_int
    PAYLOAD     as delta_int, whose base is the prediction; if scaled, two more streams come first: factors of the rows
                and of the columns (i8 each)
    DTYPES      0 float32, 1 bfloat16, 2 float16

    0 none    no bases; scaled                p = 0
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
from ckstore.codec import delta, factors, scale, scratch
from ckstore.codec.delta import Center
from ckstore.codec.entropy import Stats, Stream
from ckstore.codec.factors import Factors
from ckstore.codec.kinds import Kind
from ckstore.codec.levels import Level
from ckstore.codec.scale import Scale
from ckstore.codec.scratch import Bytes
from ckstore.errors import FormatError, UnsupportedError

NONE, LINEAR, ADAM, SECOND = range(4)
DTYPES = {"float32": 0, "bfloat16": 1, "float16": 2}
WIDTHS = (4, 2, 2)
"""Bytes of an element of each dtype."""
MANTISSAS = (23, 7, 10)
"""Bits below the exponent of each dtype."""
_MASKED, _SCALED, _TURNED = 1, 2, 4
_HEAD = struct.Struct("<BBBB")
_N_BASES = {NONE: range(1), LINEAR: range(1, 5), ADAM: range(3, 5), SECOND: range(3, 4)}


@dataclass(frozen=True, slots=True)
class Predictor:
    """A formula with its numbers; the bases come with the frame."""

    formula: int
    """NONE, LINEAR, ADAM or SECOND."""
    dtype: int
    """Of the chunk."""
    base_dtypes: tuple[int, ...]
    coefficients: tuple[float, ...]
    """Each a number of binary32."""
    masked: bool = False
    scale: Scale | None = None

    @property
    def kind(self) -> Kind:
        """How delta_int looks at chunk and prediction."""
        return Kind(WIDTHS[self.dtype], self.scale is None or not self.scale.turned)

    def run(self, bases: Sequence[Bytes], n: int, room: str = "prediction") -> Bytes:
        """What the formula makes of n elements, in this thread's buffer `room`; not for NONE. The bases must fit."""
        out = scratch.buffer(room, n * WIDTHS[self.dtype])
        kernels.predict(self.formula, bases, self.base_dtypes, self.coefficients, self.masked, self.dtype, out)
        return out

    def whole(self, bases: Sequence[Bytes], n: int, sides: Factors | None) -> Bytes:
        """The prediction of n elements, in a buffer of this thread. sides: factors of the scale, if there is one."""
        under = self.run(bases, n) if bases else None
        return self.at_scale(under, n, sides) if under is None or sides is not None else under

    def at_scale(self, under: Bytes | None, n: int, sides: Factors | None) -> Bytes:
        """What the formula made, or nothing, brought to scale, in another buffer."""
        assert self.scale is not None
        assert sides is not None
        out = scratch.buffer("to scale", n * WIDTHS[self.dtype])
        scale.apply(self.scale, sides, under, WIDTHS[self.dtype], MANTISSAS[self.dtype], out)
        return out


def pack_params(predictor: Predictor, recentred: bool) -> bytes:
    """The codec parameters."""
    dtypes, at_scale = predictor.base_dtypes, predictor.scale
    flags = _MASKED if predictor.masked else 0
    if at_scale is not None:
        flags |= _SCALED | (_TURNED if at_scale.turned else 0)
    head = _HEAD.pack(predictor.formula, predictor.dtype, flags, len(dtypes)) + bytes(dtypes)
    numbers = struct.pack(f"<{len(predictor.coefficients)}f", *predictor.coefficients)
    numbers += scale.pack_params(at_scale) if at_scale is not None else b""
    return head + numbers + delta.pack_params(predictor.kind, recentred)


def parse_params(params: bytes) -> tuple[Predictor, bool]:
    """The inverse of pack_params. Raises FormatError or UnsupportedError."""
    if len(params) < _HEAD.size:
        raise FormatError("codec parameters are cut short")
    formula, dtype, flags, n_bases = _HEAD.unpack_from(params)
    dtypes = tuple(params[_HEAD.size : _HEAD.size + n_bases])
    known = formula in _N_BASES and not flags & ~(_MASKED | _SCALED | _TURNED) and flags & 6 != _TURNED
    if not known or max((dtype, *dtypes)) >= len(WIDTHS):
        raise UnsupportedError("a prediction this version does not know: written by a newer ckstore")
    masked, n_numbers, start = bool(flags & _MASKED), _n_coefficients(formula, n_bases), _HEAD.size + n_bases
    at_scale = start + 4 * n_numbers
    end = at_scale + (scale.PARAMS_BYTES if flags & _SCALED else 0)
    if n_bases not in _N_BASES[formula] or (masked and not _has_before(formula, n_bases)):
        raise FormatError("a prediction with bases that it does not take")
    if len(params) != end + delta.PARAMS_BYTES:
        raise FormatError("codec parameters of a wrong length")
    found = None
    if flags & _SCALED:
        found = scale.parse_params(params[at_scale:end], bool(flags & _TURNED), MANTISSAS[dtype])
    elif formula == NONE:
        raise FormatError("a prediction of nothing that is not brought to scale")
    predictor = Predictor(formula, dtype, dtypes, struct.unpack_from(f"<{n_numbers}f", params, start), masked, found)
    kind, recentred = delta.parse_params(params[end:])
    if kind != predictor.kind:
        raise FormatError("differences of another width than the prediction")
    return predictor, recentred


def _n_coefficients(formula: int, n_bases: int) -> int:
    return {NONE: 0, LINEAR: n_bases, ADAM: 5, SECOND: 3}[formula]


def _has_before(formula: int, n_bases: int) -> bool:
    """Whether the moment before is among the bases."""
    return formula == SECOND or (formula == ADAM and n_bases == 4)


def encode(
    raw: Bytes, bases: Sequence[Bytes], predictor: Predictor, stats: Stats, center: Center | None,
    level: Level = Level.BALANCED, sides: Factors | None = None,
) -> Bytes:  # fmt: skip
    """The payload of `raw`; stats: what a sample says of the symbols; sides: with a scale, its factors."""
    under, streams = predictor.whole(bases, len(raw) // predictor.kind.width, sides), list[Stream]()
    if sides is not None:
        streams = factors.streams(sides, level)
    return delta.encode(turned(raw, predictor), under, predictor.kind, stats, False, center, level, streams)


def turned(raw: Bytes, predictor: Predictor) -> Bytes:
    """The elements as differences are taken of them."""
    if predictor.kind.is_float:
        return raw
    out = scratch.buffer("turned", len(raw))
    kernels.turn(raw, predictor.kind.width, True, out)
    return out


def parse(
    predictor: Predictor, recentred: bool, payload: Bytes, n: int
) -> tuple[Center | None, Factors | None, list[Stream]]:
    """The parts of the payload of n elements: how it is recentred, with a scale its factors, bits and symbols.

    Raises FormatError.
    """
    if predictor.scale is None:
        center, streams = delta.parse(predictor.kind, payload, recentred, 2)
        return center, None, streams
    center, streams = delta.parse(predictor.kind, payload, recentred, 4)
    return center, factors.parse(predictor.scale.grid, n, streams[:2]), streams[2:]


def decode(params: bytes, payload: Bytes, bases: Sequence[Bytes], out: Bytes) -> None:
    """Fill `out`. Raises FormatError for bases or a payload that do not fit, UnsupportedError."""
    predictor, recentred = parse_params(params)
    n, rest = divmod(len(out), predictor.kind.width)
    sizes = [n * WIDTHS[dtype] for dtype in predictor.base_dtypes]
    if rest or [len(base) for base in bases] != sizes:
        raise FormatError("bases that do not fit the chunk")
    center, sides, streams = parse(predictor, recentred, payload, n)
    under = predictor.whole(bases, n, sides)
    target = out if predictor.kind.is_float else scratch.buffer("turned", len(out))
    delta.merge(predictor.kind, streams, under, target, center)
    if not predictor.kind.is_float:
        kernels.turn(target, predictor.kind.width, False, out)
