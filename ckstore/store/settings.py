"""What is fixed when a store is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from ckstore.errors import UsageError
from ckstore.format.frame import MAX_DEPTH
from ckstore.format.records import Root

# A chain may get one frame longer than the setting, by a rounding of its last chunk.
_LIMITS = {"chunk_elements": (1 << 10, 1 << 20), "chain_cost_milli": (0, 1 << 30), "chain_frames": (1, MAX_DEPTH - 2)}


@dataclass(frozen=True, slots=True)
class Settings:
    """Raises UsageError for a value out of range. Source of the defaults: `python -m bench storage`."""

    chunk_elements: int = 1 << 18
    chain_cost_milli: int = 10000
    """About eight checkpoints of weights that lie on moments. With 8000 a bf16 run takes 1.5 % more bytes, a run saved
    every few steps 1.4 %, float32 runs saved every ten steps 0.1 % less; loads take up to a quarter less time."""
    chain_frames: int = 32

    def __post_init__(self) -> None:
        for name, (least, most) in _LIMITS.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise UsageError(f"{name} must be {least} to {most}, not {value!r}")


def of(values: Mapping[str, int]) -> Settings:
    """Settings with some other values than the defaults; raises UsageError."""
    unknown = sorted(set(values) - {field.name for field in fields(Settings)})
    if unknown:
        raise UsageError(f"unknown setting: {', '.join(unknown)}")
    return Settings(**values)


def compare(values: Mapping[str, int], root: Root, path: str) -> None:
    """Raise UsageError for a setting that the store was made with another value of."""
    for name, value in values.items():
        if getattr(root, name) != value:
            raise UsageError(
                f"{path} was made with {name}={getattr(root, name)}, not {value}: settings never change; leave it out"
            )
