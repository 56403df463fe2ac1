"""Rounding of floats, as FORMAT.md has it: by exact arithmetic, in any widths."""

from __future__ import annotations

from fractions import Fraction


def rounded(kind: int, base: bytes) -> bytes:
    source = [(8, 23), (8, 23), (11, 52)][kind]
    target = [(8, 7), (5, 10), (8, 23)][kind]
    size = (1 + sum(source)) // 8
    out = [
        _narrow(x, source, target, all_ones=kind == 0)
        for x in (int.from_bytes(base[i : i + size], "little") for i in range(0, len(base), size))
    ]
    return b"".join(x.to_bytes(size // 2, "little") for x in out)


def _narrow(x: int, source: tuple[int, int], target: tuple[int, int], all_ones: bool) -> int:
    """One float in other widths, by exact arithmetic: the nearest of all values there are, ties to an even pattern."""
    (se, sm), (de, dm) = source, target
    sign, magnitude = x >> (se + sm) << (de + dm), x & ((1 << se + sm) - 1)
    infinity = ((1 << de) - 1) << dm
    payload = magnitude & ((1 << sm) - 1)
    if magnitude >> sm == (1 << se) - 1:
        if not payload:
            return sign | infinity
        return 0xFFFF if all_ones else sign | infinity | 1 << (dm - 1) | payload >> (sm - dm)
    value = _value(magnitude, se, sm)
    low, high = 0, infinity  # of positive floats the patterns are in the order of the values
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _value(middle, de, dm) <= value else (low, middle)
    below, above = value - _value(low, de, dm), _value(high, de, dm) - value
    return sign | (low if below < above or (below == above and low % 2 == 0) else high)


def _value(pattern: int, exponent_bits: int, mantissa_bits: int) -> Fraction:
    """Value of a positive float; infinity counts as the power of two it stands in for."""
    bias = (1 << (exponent_bits - 1)) - 1
    exponent, mantissa = pattern >> mantissa_bits, pattern & ((1 << mantissa_bits) - 1)
    if exponent:
        mantissa += 1 << mantissa_bits
    return Fraction(mantissa) * Fraction(2) ** (max(exponent, 1) - bias - mantissa_bits)
