"""What people write for sizes, durations and rules → numbers. Inverse of text.py, where it has one. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ckstore.errors import UsageError

_SIZES = {"": 1, "b": 1} | {
    unit + end: base**power
    for power, unit in enumerate("kmgtp", start=1)
    for end, base in (("", 1024), ("ib", 1024), ("b", 1000))
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", re.ASCII | re.IGNORECASE)
_COUNT = re.compile(r"[0-9]{1,18}")
_MOST = 1 << 63


def size(written: str) -> int:
    """Bytes: a number and B, KiB, MiB, GiB, TiB, PiB (K … P for short), or KB … PB for powers of 1000."""
    return round(_read(written, _SIZES, "a size, such as 20GiB"))


def seconds(written: str) -> float:
    """Seconds: a number and s, m (minutes), h, d (days) or w (weeks)."""
    return _read(written, _SECONDS, "a duration with its unit, such as 7d or 12h")


def best(written: str) -> tuple[str, str, int]:
    """METRIC:min:N or METRIC:max:N; a metric may hold colons itself."""
    metric, _, rest = written.rpartition(":min:")
    direction, n = "min", rest
    if not metric:
        metric, _, n = written.rpartition(":max:")
        direction = "max"
    if not metric or not _COUNT.fullmatch(n):
        raise UsageError(f"{written!r:.200} is not METRIC:min:N or METRIC:max:N, such as loss:min:3")
    return metric, direction, int(n)


def _read(written: str, units: Mapping[str, int], wanted: str) -> float:
    match = _QUANTITY.fullmatch(written.strip())
    if match is None or match[2].lower() not in units:
        raise UsageError(f"{written!r:.200} is not {wanted}")
    value = float(match[1]) * units[match[2].lower()]
    if value >= _MOST:
        raise UsageError(f"{written:.40} is more than can be meant: give less than 2^63")
    return value
