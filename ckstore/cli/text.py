"""Values → short strings for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def printable(text: str) -> str:
    """`text` with every control character escaped: a name in a hostile store must not steer the terminal."""
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def size(n_bytes: int) -> str:
    """`n_bytes` in binary units with three significant digits: 1536 → "1.50 KiB"."""
    value, unit = float(n_bytes), 0
    while abs(value) >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    if unit == 0:
        return f"{n_bytes} B"
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f} {_UNITS[unit]}"


def share(part: int, whole: int) -> str:
    """`part` / `whole` with three digits, or "-" where there is nothing to divide by."""
    return f"{part / whole:.3f}" if whole else "-"


def moment(time: datetime) -> str:
    """`time` in the local time zone, to the second."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def metrics(values: Mapping[str, float]) -> str:
    """Metrics as `name=value`, six digits."""
    return " ".join(f"{name}={value:.6g}" for name, value in values.items())


def shape(extents: Sequence[int]) -> str:
    """A tensor's shape: (2, 3) → "2x3", a scalar → "-"."""
    return "x".join(str(extent) for extent in extents) or "-"


def count(n: int, noun: str, plural: str = "") -> str:
    """`n` with its noun: 1 checkpoint, 2 checkpoints."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
