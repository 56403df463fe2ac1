"""Which codec for a chunk, from a sample of it. Pure: no choice depends on anything but the arguments.

A sample is some 8,000 elements in runs of 64. Floats are judged by the order-0 entropy of what each codec would store,
since nothing but skewed bytes is to be gained there; anything else by coding the sample each way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ckstore._native import kernels
from ckstore.codec import delta, entropy, planes, scratch
from ckstore.codec.kinds import OPAQUE, Kind
from ckstore.codec.scratch import Bytes
from ckstore.format.frame import DELTA_INT, DELTA_XOR, PLANES

_RUN = 64
_RUNS = 127
_WHOLE = 4 * _RUN * _RUNS
_HOLE_SHARE = 0.02
_STRUCTURED_BITS = 6.0
_BIAS = {PLANES: 1.0, DELTA_XOR: 1.01, DELTA_INT: 1.015}
"""A base must earn its read: what a codec's estimate is multiplied with."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with a chunk."""

    codec: int
    kind: Kind
    position: int | None
    """Which base, or None."""
    holes: tuple[int, ...]
    estimate: planes.Estimate
    """Of the planes, or of the symbols (one plane)."""
    cost_bits: float
    """Estimated bits an element of `kind`, with bias."""


def choose(raw: Bytes, kind: Kind, bases: Sequence[Bytes]) -> Plan:
    """The cheapest plan for `raw`, given possible bases of the same kind and length."""
    if not kind.is_float:
        return _by_trial(raw, kind, bases)
    sample = _sample(raw, kind.width)
    plans = list(_float_plans(sample, kind, [_sample(base, kind.width) for base in bases]))
    return min(plans, key=lambda plan: plan.cost_bits)


def encode(raw: Bytes, bases: Sequence[Bytes], plan: Plan) -> tuple[bytes, Bytes]:
    """Parameters and payload of `raw` by this plan."""
    base = None if plan.position is None else bases[plan.position]
    if plan.codec == DELTA_INT and base is not None:
        (bits,), (zeros,) = plan.estimate.bits, plan.estimate.zeros
        return delta.pack_params(plan.kind), delta.encode(raw, base, plan.kind, bits, zeros, plan.estimate.matches)
    shape = planes.Shape(plan.kind.width, plan.kind.rotate and base is None, plan.holes)
    return planes.pack_params(shape), planes.encode(raw, base, shape, plan.estimate)


def _float_plans(sample: Bytes, kind: Kind, bases: list[Bytes]) -> Iterator[Plan]:
    yield _planes_plan(sample, kind, None, None)
    holes = _holes(sample, kind)
    if holes:
        yield _holes_plan(sample, kind, holes)
    for position, base in enumerate(bases):
        yield _planes_plan(sample, kind, position, base)
        yield _delta_plan(sample, kind, position, base)


def _planes_plan(sample: Bytes, kind: Kind, position: int | None, base: Bytes | None) -> Plan:
    split = scratch.buffer("sample planes", len(sample))
    kernels.split(sample, kind.width, kind.rotate and base is None, split, base)
    bits, zeros = _profile(split, kind.width)
    codec = PLANES if base is None else DELTA_XOR
    structured = base is None and bits[0] < _STRUCTURED_BITS and zeros[0] < 0.5
    return _plan(codec, kind, position, (), planes.Estimate(bits, zeros, structured), _cost(bits))


def _holes_plan(sample: Bytes, kind: Kind, holes: tuple[int, ...]) -> Plan:
    n, left, cost = len(sample) // kind.width, sample, 0.0
    for hole in holes:
        bitmap, values = np.empty((len(left) // kind.width + 7) // 8, np.uint8), np.empty(len(left), np.uint8)
        count = kernels.sparse_split(left, kind.width, hole, bitmap, values)
        left = values[: count * kind.width]
        cost += min(8.0, _profile(bitmap, 1)[0][0]) * len(bitmap) / n
    inner = _planes_plan(left, kind, None, None)
    cost += inner.cost_bits * len(left) / len(sample)
    return _plan(PLANES, kind, None, holes, inner.estimate, cost)


def _delta_plan(sample: Bytes, kind: Kind, position: int, base: Bytes) -> Plan:
    n = len(sample) // kind.width
    symbols, low = scratch.buffer("symbols", n), scratch.buffer("low bits", len(sample) + kernels.BITS_SLACK)
    n_low = kernels.delta_split(sample, base, kind.width, kind.is_float, symbols, low)
    bits, zeros = _profile(symbols, 1)
    cost = _cost(bits) + 8 * n_low / max(n, 1)
    return _plan(DELTA_INT, kind, position, (), planes.Estimate(bits, zeros, False), cost)


def _plan(
    codec: int, kind: Kind, position: int | None, holes: tuple[int, ...], estimate: planes.Estimate, cost: float
) -> Plan:
    return Plan(codec, kind, position, holes, estimate, cost * _BIAS[codec])


def _by_trial(raw: Bytes, kind: Kind, bases: Sequence[Bytes]) -> Plan:
    """Code the middle of the chunk in every way and take the smallest."""
    n = len(raw) // kind.width
    start = max(0, n - _WHOLE) // 2 * kind.width
    part = slice(start, start + _WHOLE * kind.width)
    best: tuple[float, Plan] | None = None
    for view in {kind, OPAQUE}:
        for plan in _trial_plans(raw, view, bases):
            size = len(encode(raw[part], [base[part] for base in bases], plan)[1]) * _BIAS[plan.codec]
            if best is None or size < best[0]:
                best = size, plan
    assert best is not None
    return best[1]


def _trial_plans(raw: Bytes, kind: Kind, bases: Sequence[Bytes]) -> Iterator[Plan]:
    sample = _sample(raw, kind.width)
    plans = [_planes_plan(sample, kind, None, None)]
    for position, base in enumerate(bases):
        base_sample = _sample(base, kind.width)
        plans.append(_planes_plan(sample, kind, position, base_sample))
        plans.append(_delta_plan(sample, kind, position, base_sample))
    for plan in plans:
        estimate = planes.Estimate(plan.estimate.bits, plan.estimate.zeros, True)
        yield Plan(plan.codec, kind, plan.position, (), estimate, plan.cost_bits)


def _sample(data: Bytes, width: int) -> Bytes:
    """Runs of 64 elements at even distances; all of a short chunk."""
    n = len(data) // width
    if n <= _WHOLE:
        return data
    stride = (n - _RUN) // _RUNS * width
    return np.ascontiguousarray(data[: _RUNS * stride].reshape(_RUNS, stride)[:, : _RUN * width]).reshape(-1)


def _holes(sample: Bytes, kind: Kind) -> tuple[int, ...]:
    """Zero and minus zero, where frequent enough to be left out."""
    if kind.width == 1 or len(sample) == 0:
        return ()
    elements: npt.NDArray[np.unsignedinteger] = sample.view(f"<u{kind.width}")
    values = (0, 1 << (8 * kind.width - 1))
    return tuple(v for v in values if np.count_nonzero(elements == v) >= _HOLE_SHARE * len(elements))


def _cost(bits: Sequence[float]) -> float:
    return sum(8.0 if b >= entropy.NOISE_BITS else b for b in bits)


def _profile(data: Bytes, parts: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Order-0 entropy in bits a byte, and share of zero bytes, of each of `parts` equal stretches."""
    counts = np.empty((parts, 256), np.uint32)
    kernels.histogram(data, parts, counts)
    n = max(len(data) // parts, 1)
    shares = counts / n
    plain = -(shares * np.log2(shares, out=np.zeros_like(shares), where=counts > 0)).sum(axis=1)
    # A sample shows less entropy than there is, by about this much (Miller and Madow).
    missing = (np.count_nonzero(counts, axis=1) - 1).clip(0) / (2 * np.log(2) * n)
    return tuple((plain + missing).tolist()), tuple(shares[:, 0].tolist())
